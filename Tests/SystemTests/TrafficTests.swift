import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// `slicectl traffic`: measured flows from a slice.
@Suite(.serialized, .requiresSlices) struct TrafficTests {
  private func traffic(_ node: TestNode, _ arguments: String...) throws -> JSONValue {
    let result = try node.slicectl(["--json", "traffic"] + arguments)
    try #require(result.status == 0, "\(arguments): \(result)")
    return try JSONValue(parsing: result.outputBytes)
  }

  /// A listener in a slice, ended by the test.
  private func listen(_ node: TestNode, _ arguments: String...) throws -> BackgroundCommand {
    let command = try BackgroundCommand(
      node.slicectlCommand(["--json", "traffic"] + arguments + ["--listen"]))
    usleep(700_000)
    return command
  }

  @Test func flowsAreMeasured() throws {
    try withNode { node in
      for name in ["a", "b"] { try node.create(name) }
      let address = try #require(try node.inspect("b")["network"]["ipv4"].string)

      let datagrams = try listen(node, "b")
      let udp = try traffic(
        node, "a", "--to", address, "--rate", "200pps", "--size", "500", "--duration", "2s")
      #expect((360...420).contains(udp["sentPackets"].integer ?? 0), "\(udp)")
      #expect(udp["lossRatio"].number ?? 1 < 0.02, "\(udp)")
      #expect(udp["receivedBytes"].integer == (udp["receivedPackets"].integer ?? 0) * 500, "\(udp)")
      let times = udp["roundTripSeconds"]
      let (p50, p95, p99) = (times["p50"].number, times["p95"].number, times["p99"].number)
      #expect(p50 ?? 0 > 0 && p50 ?? 9 <= p95 ?? 0 && p95 ?? 9 <= p99 ?? 0, "\(udp)")
      #expect(udp["jitterSeconds"].number != nil)
      datagrams.signal(SIGINT)
      let heard = try JSONValue(parsing: datagrams.wait(seconds: 10).outputBytes)
      #expect(heard["receivedPackets"].integer == udp["receivedPackets"].integer, "\(heard)")

      let streams = try listen(node, "b", "--protocol", "tcp")
      let tcp = try traffic(
        node, "a", "--to", "\(address):7777", "--protocol", "tcp", "--rate", "8M", "--duration",
        "2s")
      #expect((6e6...8.8e6).contains(tcp["receivedBitsPerSecond"].number ?? 0), "\(tcp)")
      streams.signal(SIGINT)
      #expect(streams.wait(seconds: 10).status == 0)

      // By the other slice's name.
      let icmp = try traffic(
        node, "a", "--to", "b", "--protocol", "icmp", "--rate", "50pps", "--duration", "1s")
      #expect(icmp["lossRatio"].number == 0, "\(icmp)")
      #expect(icmp["roundTripSeconds"]["p99"].number ?? 0 > 0, "\(icmp)")
    }
  }

  /// Loss is what is lost: half of it by a filter on the way, and all of it where nobody is.
  @Test func lossIsSeen() throws {
    try withNode { node in
      for name in ["a", "b"] { try node.create(name) }
      let address = try #require(try node.inspect("b")["network"]["ipv4"].string)
      let rules = try node.host.run([
        "nft",
        "add table inet lossy; add chain inet lossy forward { type filter hook forward priority 0; }; "
          + "add rule inet lossy forward udp dport 7777 numgen inc mod 4 0 drop",
      ])
      try #require(rules.status == 0, "\(rules)")
      let listener = try listen(node, "b")
      let udp = try traffic(node, "a", "--to", address, "--rate", "400pps", "--duration", "2s")
      #expect((0.22...0.28).contains(udp["lossRatio"].number ?? 0), "\(udp)")
      listener.signal(SIGINT)
      let heard = try JSONValue(parsing: listener.wait(seconds: 10).outputBytes)
      #expect((0.22...0.28).contains(heard["lossRatio"].number ?? 0), "\(heard)")

      let silence = try traffic(
        node, "a", "--to", "\(address):9", "--rate", "50pps", "--duration", "1s")
      #expect(silence["receivedPackets"] == .null && silence["lossRatio"] == .null, "\(silence)")
      let nobody = try traffic(
        node, "a", "--to", "192.0.2.9", "--protocol", "icmp", "--rate", "20pps", "--duration", "1s")
      #expect(nobody["receivedPackets"].integer == 0, "\(nobody)")
    }
  }

  @Test func wrongUsageIsRefused() throws {
    try withNode { node in
      try node.create("a")
      for arguments in [
        [], ["--to", "example.org"], ["--to", "192.0.2.1", "--listen"],
        ["--to", "192.0.2.1:99999"],
        ["--to", "192.0.2.1", "--rate", "fast"], ["--to", "192.0.2.1", "--size", "8"],
        ["--to", "192.0.2.1", "--protocol", "tcp", "--rate", "10pps"],
        ["--listen", "--protocol", "icmp"], ["--to", "192.0.2.1", "--duration", "0s"],
      ] {
        let result = try node.slicectl(["traffic", "a"] + arguments)
        #expect(result.status == 2, "\(arguments): \(result)")
      }
      #expect(try node.slicectl("traffic", "none", "--listen").status == 3)
      #expect(try node.slicectl("traffic", "a", "--to", "none").status == 3)
      // A destination that the slice may not reach is no way round.
      let result = try node.slicectl([
        "traffic", "a", "--to", "172.31.128.1:22", "--protocol", "tcp", "--duration", "1s",
      ])
      #expect(result.fails(1, "connect", "timed out"), "\(result)")
      let drops = try node.inspect("a")["network"]["drops"]["sent"]["host"]["packets"].integer
      #expect(drops ?? 0 > 0)
    }
  }
}
