import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// The abuse report's question: who sent that?
@Suite(.requiresSlices) struct FlowTests {
  /// Sends UDP packets from a slice, as its root could.
  private func send(
    _ node: TestNode, from slice: String, to address: String, ports: ClosedRange<Int>,
    times: Int = 1
  ) throws {
    let pid = try #require(try node.inspect(slice)["pid"].integer)
    let family = address.contains(":") ? "AF_INET6" : "AF_INET"
    let sent = try node.host.run([
      "nsenter", "-t", "\(pid)", "-n", "python3", "-c",
      """
      import socket
      s = socket.socket(socket.\(family), socket.SOCK_DGRAM)
      for _ in range(\(times)):
          for port in range(\(ports.lowerBound), \(ports.upperBound) + 1):
              try: s.sendto(b'x' * 100, ('\(address)', port))
              except OSError: s.sendto(b'x' * 100, ('\(address)', port))  # an error that came back
      """,
    ])
    guard sent.status == 0 else { throw HarnessError("send: \(sent)") }
  }

  private func flows(
    _ node: TestNode, _ options: String..., as user: TestUser = .root
  ) throws -> [JSONValue] {
    let result = try node.slicectl(["--json", "flows"] + options, as: user)
    guard result.status == 0 else { throw HarnessError("flows: \(result)") }
    return try JSONValue(parsing: result.outputBytes).array ?? []
  }

  /// Waits until the node sees what leaves by the uplink that was just made.
  private func prepare(_ node: TestNode) throws {
    try node.create("probe")
    guard
      try eventually(
        within: 20,
        {
          for address in [World.address4, World.address6] {
            try send(node, from: "probe", to: address, ports: 7...7)
          }
          return try Set(flows(node, "--slice", "probe").map { $0["to"].string }).count == 2
        })
    else { throw HarnessError("nothing is counted on the uplink") }
  }

  private func packets(_ records: [JSONValue]) -> Int64 {
    records.reduce(0) { $0 + ($1["packets"].integer ?? 0) }
  }

  @Test(.requiresProgram("/usr/bin/python3")) func theSliceThatSentItIsNamed() throws {
    try withWorld { node, world in
      try prepare(node)
      for (name, user) in [("web", TestUser.alice), ("dns", .alice), ("bot", .bob)] {
        try node.succeed(
          "create", name, "--image", "minimal", "--", "sleep", "100000", as: user)
      }
      try send(node, from: "web", to: World.address4, ports: 80...80, times: 3)
      try send(node, from: "dns", to: World.address6, ports: 53...53)
      try send(node, from: "bot", to: World.address4, ports: 666...667, times: 5)

      let found = try flows(node, "--since", "1h", "--to", World.address4, "--port", "666")
      let record = try #require(found.first)
      #expect(
        found.count == 1 && record["slice"].string == "bot" && record["packets"] == .integer(5))
      #expect(record["ownerId"] == .integer(Int64(TestUser.bob.user)))
      #expect(record["protocol"] == .integer(17) && record["port"] == .integer(666))
      #expect(record["bytes"].integer ?? 0 >= 5 * 128)
      let first = try #require(record["first"].string)
      #expect(first <= record["last"].string ?? "" && first.hasPrefix("20") && first.hasSuffix("Z"))
      let text = try node.succeed("flows", "--to", World.address4, "--port", "666")
      #expect(text.contains("bot") && text.contains("udp") && !text.contains("web"))

      // The port that a complaint quotes is the one outside, here kept by the translation.
      let source = try #require(record["sourcePort"].integer)
      #expect(try flows(node, "--port", "\(source)").allSatisfy { $0["slice"].string == "bot" })
      #expect(try !flows(node, "--port", "\(source)").isEmpty)
      #expect(try packets(flows(node, "--slice", "bot", "--protocol", "udp")) == 10)
      #expect(try flows(node, "--slice", "bot", "--protocol", "tcp").isEmpty)
      #expect(try packets(flows(node, "--to", "2001:db8:51::/48", "--slice", "dns")) == 1)
      #expect(
        try flows(node, "--to", World.address6, "--port", "53").first?["slice"].string == "dns")
      #expect(try flows(node, "--until", "1h").isEmpty)

      // Owners see what is their own.
      let hers = try flows(node, as: .alice)
      #expect(Set(hers.compactMap { $0["slice"].string }) == ["web", "dns"])
      #expect(try flows(node, "--slice", "bot", as: .alice).isEmpty)

      let refused = try node.slicectl("flows", "--to", "10.1.2.3/24")
      #expect(refused.fails(2, "10.1.2.3/24", "without host bits"), "\(refused)")
      #expect(try node.slicectl("flows", "--protocol", "tpc").fails(2, "tpc", "udp"))
    }
  }

  @Test(.requiresProgram("/usr/bin/python3")) func itOutlivesTheSupervisorAndTheSlice() throws {
    try withWorld { node, world in
      try prepare(node)
      try node.succeed(
        "create", "gone", "--image", "minimal", "--", "sleep", "100000", as: .bob)
      try send(node, from: "gone", to: World.address4, ports: 1...3)
      #expect(try packets(flows(node, "--slice", "gone")) == 3)
      node.crashSupervisor()
      // Counted while nobody looks; and a crash may leave half a line.
      let file = node.state + "/flows/flows"
      let half = "1 2 half"
      try HostFiles.write(HostFiles.text(file) + half, to: file)
      try sendWithoutSupervisor(node, to: World.address4, port: 4)
      try node.startSupervisor()
      try node.succeed("destroy", "--force", "gone", as: .bob)
      // Another one has its number, and its address, now.
      try node.succeed("create", "next", "--image", "minimal", "--", "sleep", "100000", as: .alice)
      try send(node, from: "next", to: World.address4, ports: 5...5)
      #expect(try eventually(within: 5) { try packets(flows(node, "--slice", "gone")) == 4 })
      #expect(
        try flows(node, "--port", "4").first?["ownerId"] == .integer(Int64(TestUser.bob.user)))
      #expect(try flows(node, "--port", "5").map { $0["slice"].string } == ["next"])
      #expect(!HostFiles.text(file).contains(half))
    }
  }

  private func sendWithoutSupervisor(_ node: TestNode, to address: String, port: Int) throws {
    // The newest slice's service is the youngest `sleep 100000` there is.
    let proc = node.host.proc
    let sleeper = ProcessTable.pids(proc: proc).filter {
      HostFiles.text("\(proc)/\($0)/cmdline").contains("100000")
        && HostFiles.text("\(proc)/\($0)/comm") == "sleep\n"
    }.max()
    let sent = try node.host.run([
      "nsenter", "-t", "\(try #require(sleeper))", "-n", "python3", "-c",
      "import socket; socket.socket(2, 2).sendto(b'x', ('\(address)', \(port)))",
    ])
    guard sent.status == 0 else { throw HarnessError("send: \(sent)") }
  }

  /// Packets of a slice that have passed its link.
  private func sent(_ node: TestNode, _ slice: String) throws -> Int64 {
    let figures = try node.json("shares", slice).array?.first?["net"]
    return try #require(figures?["sentPackets"].integer)
  }

  @Test(.requiresProgram("/usr/bin/python3")) func aFloodHidesNobodyElse() throws {
    try withWorld { node, world in
      try prepare(node)
      try node.create("flood")
      try node.create("quiet")
      let before = try packets(flows(node, "--slice", "flood"))
      let sentBefore = try sent(node, "flood")
      try send(node, from: "quiet", to: World.address4, ports: 53...53)
      try send(node, from: "flood", to: World.address4, ports: 1000...20_999)
      try send(node, from: "quiet", to: World.address4, ports: 54...54)
      #expect(try packets(flows(node, "--slice", "quiet")) == 2)
      let flood = try flows(node, "--slice", "flood")
      // A turn may have ended meanwhile, whose entries are others.
      #expect(flood.count <= 3 * 1281, "\(flood.count)")
      // A processor that is busy with other tests may lose some on their way to the link, none behind it.
      let passed = try sent(node, "flood") - sentBefore
      #expect(passed > 19_000, "the control")
      #expect(packets(flood) - before == passed)
      let byAddress = flood.filter { $0["to"] != .null && $0["port"] == .null }
      #expect(byAddress.allSatisfy { $0["to"].string == World.address4 } && !byAddress.isEmpty)
      // Whoever asks for a port is told that there may be more.
      let asked = try node.slicectl("flows", "--slice", "flood", "--port", "20999")
      #expect(asked.status == 0 && asked.errors.contains("flood ("), "\(asked)")
    }
  }

  @Test(.requiresProgram("/usr/bin/python3")) func aFullDiskLosesRecordsAndNothingElse() throws {
    var options = TestNode.Options()
    options.storage = .tmpfs(megabytes: 48)
    try withWorld(options) { node, world in
      try prepare(node)
      try node.create("web")
      let filler = node.state + "/filler"
      _ = try node.host.run(["sh", "-c", "cat /dev/zero >'\(filler)'"])
      try send(node, from: "web", to: World.address4, ports: 1...1000)
      let full = try node.slicectl("flows", "--slice", "web")
      #expect(full.status == 0 && full.errors.contains("could not be written"), "\(full)")
      #expect(node.log.contains("event=flows-lost"))
      #expect(try node.execute("web", "echo", "alive") == "alive")
      #expect(try node.host.run(["rm", filler]).status == 0)
      try send(node, from: "web", to: World.address4, ports: 2000...2000)
      #expect(try flows(node, "--slice", "web", "--port", "2000").count == 1)
      #expect(eventually(within: 15) { node.log.contains("event=flows-kept") })
    }
  }

  @Test func withoutDaysNothingIsKept() throws {
    try withNode(.init(policy: "[network]\nflow-days = 0\n")) { node in
      let kept = try flows(node)
      #expect(kept.isEmpty)
      #expect(!HostFiles.exists(node.state + "/flows/flows"))
    }
  }
}
