import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// That slices get of a link what their settings say, measured at its other end: bytes of whole packets,
/// over five seconds, the best of three. Senders come before all else that the machine does, and don't
/// send more than they need to: one that waits for a processor has no share to get.
@Suite(
  .requiresSlices, .requiresProgram("/usr/bin/cc"), .serialized,
  .enabled(
    if: !Host.isUserModeLinux, "the lab's kernel is too slow to fill a link of 100 Mbit/s"))
struct BandwidthTests {
  /// Of what is asked.
  private static let precision = 0.03
  /// What a ceiling counts less than there is in a packet (TrafficShape.headers).
  private static let headers = 1.02

  // MARK: - Shares

  @Test func weightsShareTheLink() throws {
    try withSite { node, site in
      let rows: [([UInt64], [Load])] = [
        ([1, 2, 7], [.udp(1514), .udp(1514), .udp(1514)]),
        ([100, 200, 700], [.tcp, .udp(1514), .split]),
        ([300, 500], [.tcp, .tcp]),
        ([100, 900], [.udp(64), .tcp]),
      ]
      for name in ["a", "b", "c"] { try node.create(name) }
      for (weights, loads) in rows {
        for (name, weight) in zip(["a", "b", "c"], weights) {
          try node.succeed("set", name, "net.weight=\(weight)")
        }
        let sum = Double(weights.reduce(0, +))
        try site.expect("weights \(weights) with \(loads)", precision: Self.precision) {
          let rates = try site.measure(Array(zip(["a", "b", "c"], loads)))
          let all = rates.reduce(0, +)
          return zip(rates, weights).map { ($0 / all, Double($1) / sum) } + [(all, 100)]
        }
      }
      // What is measured is what was foretold.
      let foretold = try node.json("shares").array?.map { $0["net"]["share"].number ?? 0 } ?? []
      // 100, 900, and the third is there still, with 700.
      #expect(zip(foretold, [0.0588, 0.5294, 0.4118]).allSatisfy { abs($0 - $1) < 0.001 })
    }
  }

  @Test func whatIsGuaranteedIsKeptBesideAFlood() throws {
    try withSite { node, site in
      for name in ["a", "b", "c"] { try node.create(name) }
      try node.create("flood", "--set", "net.weight=1000")
      // They have sent without a floor before: its time is not to be paid for.
      _ = try site.measure(["a", "b", "c"].map { ($0, Load.udp(1514)) }, seconds: 1)
      try node.succeed("set", "a", "net.min=20M")
      try node.succeed("set", "b", "net.min=30M")
      try site.expect("floors of 20M and 30M", precision: Self.precision) {
        let rates = try site.measure([
          ("a", .tcp), ("b", .udp(1514)), ("c", .udp(1514)), ("flood", .flood),
        ])
        // 50 are left, a thirteenth each for a, b and c, or more where the flood falls short of its own.
        let part = max(50.0 / 13, rates[2])
        return [(rates[0], 20 + part), (rates[1], 30 + part), (rates[2], part)]
      }
      let refused = try node.slicectl("set", "c", "net.min=51M")
      #expect(refused.fails(4, "net.min=51M", "100M", "50M"), "\(refused)")
    }
  }

  // MARK: - Ceilings

  @Test func aCeilingHoldsAndChangesUnderAConnection() throws {
    try withSite { node, site in
      try node.create("a", "--set", "net.max=20M")
      let stream = try site.start(.tcp, from: "a", port: 0)
      defer { stream.signal(SIGKILL) }
      for (change, expected) in [
        ("", 20 * Self.headers), ("net.max=50M", 50 * Self.headers), ("net.max=max", 100),
      ] {
        if !change.isEmpty { try node.succeed("set", "a", change) }
        let what = change.isEmpty ? "net.max=20M" : change
        try site.expect("\(what) beside a total of 100M", precision: Self.precision) {
          [(try site.rates(of: 1)[0], expected)]
        }
      }
      #expect(stream.isRunning, "the same connection: \(stream.errors)")
      let figures = try node.json("shares", "a").array?.first?["net"]
      #expect(figures?["maxBitsPerSecond"] == .null && figures?["share"].number == 1)
    }
  }

  @Test(arguments: ["1M", "20M"]) func whatASliceReceivesIsBoundedToo(rate: String) throws {
    try withSite { node, site in
      try node.create("a", "--set", "net.in.max=\(rate)")
      let expected = Double(BitRate(rate)!.bitsPerSecond) / 1e6 * Self.headers
      try site.receive(at: "a") { measure in
        try site.expect("net.in.max=\(rate)", precision: Self.precision) {
          [(try measure(), expected)]
        }
        try node.succeed("set", "a", "net.in.max=max")
        #expect(try measure() > 5 * expected)
      }
    }
  }

  // MARK: - Links that come and go

  @Test func anUplinkThatComesBackIsSharedAgain() throws {
    try withSite { node, site in
      try node.create("a", "--set", "net.max=10M")
      try node.create("b", "--set", "net.max=20M")
      try site.remove()
      #expect(eventually(within: 10) { (try? site.states().last) == "gone" })
      #expect(try node.execute("a", "echo", "goes on") == "goes on")
      // Nothing to hold it by: refused, while what is there stays as it is.
      let refused = try node.slicectl("set", "a", "net.max=15M")
      #expect(refused.fails(5, "net.max", "no uplink"), "\(refused)")
      try site.make()
      #expect(eventually(within: 10) { (try? site.states().last) == "shaped" })
      try site.expect("after the uplink came back", precision: Self.precision) {
        let rates = try site.measure([("a", .udp(1514)), ("b", .tcp)])
        return [(rates[0], 10 * Self.headers), (rates[1], 20 * Self.headers)]
      }
    }
  }

  @Test func anAdministratorsQdiscIsLeftAlone() throws {
    try withSite { node, site in
      try node.host.succeed("tc", "qdisc", "replace", "dev", "up0", "root", "pfifo", "limit", "50")
      // Found at once, though nothing tells sliced of it.
      for key in ["net.weight=10", "net.max=1M", "net.min=1M"] {
        let refused = try node.slicectl("create", "web", "--image", "minimal", "--set", key)
        #expect(refused.fails(5, "up0", "pfifo", "tc qdisc del dev up0 root"), "\(refused)")
      }
      try node.create("plain")
      #expect(try site.qdiscs().contains("limit 50p"))
      try node.host.succeed("tc", "qdisc", "delete", "dev", "up0", "root")
      try node.create("web", "--set", "net.max=10M")
      try site.expect("once it is gone", precision: Self.precision) {
        [(try site.measure([("web", .udp(1514))])[0], 10 * Self.headers)]
      }
    }
  }

  @Test func aTotalIsNeededForPromises() throws {
    try withSite(total: nil) { node, site in
      let refused = try node.slicectl("create", "a", "--image", "minimal", "--set", "net.min=1M")
      #expect(refused.fails(5, "net.min", "[total]"), "\(refused)")
      // Nothing is shared where nothing is short, until somebody asks.
      try node.create("a")
      #expect(try !site.qdiscs().contains("htb"))
      try node.succeed("set", "a", "net.max=10M")
      try site.expect("a ceiling without a total", precision: Self.precision) {
        [(try site.measure([("a", .udp(1514))])[0], 10 * Self.headers)]
      }
    }
  }

  // MARK: - The supervisor

  @Test func sharesOutliveTheSupervisor() throws {
    try withSite { node, site in
      try node.create("a", "--set", "net.weight=100")
      try node.create("b", "--set", "net.weight=300")
      let streams = try ["a", "b"].enumerated().map {
        try site.start(.tcp, from: $0.element, port: $0.offset)
      }
      defer { streams.forEach { $0.signal(SIGKILL) } }
      for restarted in [false, true] {
        node.crashSupervisor()
        if restarted { try node.startSupervisor() }
        try site.expect("1:3, sliced restarted: \(restarted)", precision: Self.precision) {
          let rates = try site.rates(of: 2)
          return [(rates[0], 25), (rates[1], 75)]
        }
      }
      let ended = streams.filter { !$0.isRunning }.map(\.errors)
      #expect(ended.isEmpty, "connections that have ended")
      try node.succeed("set", "b", "net.weight=100")
      try site.expect("1:1 after a change by the next sliced", precision: Self.precision) {
        let rates = try site.rates(of: 2)
        return [(rates[0], 50), (rates[1], 50)]
      }
    }
  }
}

// MARK: - The site

/// What a slice sends, without end: more than the link carries.
private enum Load: CustomStringConvertible {
  case tcp
  /// Of so many bytes with all headers.
  case udp(Int)
  /// UDP that the slice leaves to others to split.
  case split
  /// The smallest packets, as fast as it goes.
  case flood

  func arguments(to address: String, port: Int) -> [String] {
    switch self {
    case .tcp: ["tcp", address, "\(port)"]
    case .udp(let size): ["udp", address, "\(port)", "\(size)", size < 1000 ? "20" : "130"]
    case .split: ["gso", address, "\(port)", "130"]
    case .flood: ["udp", address, "\(port)", "64"]
    }
  }

  var description: String { arguments(to: "", port: 0).first! }
}

/// A namespace behind the node's uplink `up0`, where traffic is counted by port.
private final class Site {
  private static let host = "203.0.113.2"
  private static let address = "203.0.113.1"
  private static let ports = Array(5000..<5004)

  let node: TestNode
  private let probe: String
  private let holder: BackgroundCommand
  /// Of a process inside, in the host's PID namespace.
  private let pid: String
  private var sink: BackgroundCommand?

  init(_ node: TestNode) throws {
    self.node = node
    probe = try ProbeProgram.path("traffic")
    let holder = try node.host.start(["unshare", "--net", "sh", "-c", "echo $$; exec sleep 3600"])
    guard eventually({ holder.output.hasSuffix("\n") }) else { throw HarnessError("no site") }
    self.holder = holder
    pid = String(holder.output.dropLast())
    try make()
    let sink = try node.host.start(
      inside(["nice", "-n", "-20", probe, "sink"] + Self.ports.map(String.init)))
    guard eventually({ !sink.output.isEmpty }) else {
      throw HarnessError("no sink: \(sink.errors)")
    }
    self.sink = sink
  }

  private func inside(_ command: [String], _ pid: String? = nil) -> [String] {
    ["nsenter", "-t", pid ?? self.pid, "-n"] + command
  }

  /// The uplink, and a way back to the slices.
  func make() throws {
    try node.host.succeed(
      "sh", "-ec",
      """
      ip link add up0 type veth peer name up1 netns \(pid)
      ip address add \(Self.host)/24 dev up0
      ip link set up0 up
      inside() { nsenter -t \(pid) -n "$@"; }
      inside ip link set lo up
      inside ip address add \(Self.address)/24 dev up1
      inside ip link set up1 up
      inside ip route add 172.31.128.0/17 via \(Self.host)
      ip route add default via \(Self.address)
      """)
  }

  func remove() throws { try node.host.succeed("ip", "link", "delete", "up0") }

  /// What sliced has told of the uplink.
  func states() throws -> [String] {
    try node.succeed("events").split(separator: "\n").filter { $0.contains("uplink") }.compactMap {
      $0.split(separator: " ").first { $0.hasPrefix("state=") }.map { String($0.dropFirst(6)) }
    }
  }

  func qdiscs() throws -> String {
    try node.host.run(["tc", "qdisc", "show", "dev", "up0"]).output
  }

  // MARK: - Traffic

  func start(_ load: Load, from slice: String, port: Int) throws -> BackgroundCommand {
    let pid = "\(try #require(try node.inspect(slice)["pid"].integer))"
    let command = [probe] + load.arguments(to: Self.address, port: Self.ports[port])
    if case .flood = load { return try node.host.start(inside(command, pid)) }
    return try node.host.start(inside(["nice", "-n", "-20"] + command, pid))
  }

  /// Mbit/s that arrive of each of the first `count` ports.
  func rates(of count: Int, seconds: Double = 5) throws -> [Double] {
    Array(try Self.rates(sink!, seconds: seconds).prefix(count))
  }

  private static func rates(_ sink: BackgroundCommand, seconds: Double) throws -> [Double] {
    func sample() throws -> [Double] {
      let lines = sink.output.split(separator: "\n", omittingEmptySubsequences: false)
      return try #require(lines.dropLast().last).split(separator: " ").compactMap { Double($0) }
    }
    let first = try sample()
    usleep(UInt32(seconds * 1e6))
    let last = try sample()
    return zip(first, last).dropFirst().map { ($1 - $0) * 8 / (last[0] - first[0]) }
  }

  /// The same while slices send, each to a port of its own.
  func measure(_ senders: [(String, Load)], seconds: Double = 5) throws -> [Double] {
    let started = try senders.enumerated().map {
      try start($0.element.1, from: $0.element.0, port: $0.offset)
    }
    defer {
      started.forEach {
        $0.signal(SIGKILL)
        _ = $0.wait(seconds: 5)
      }
    }
    usleep(1_000_000)
    let rates = try rates(of: senders.count, seconds: seconds)
    for one in started where !one.isRunning {
      throw HarnessError("a sender has ended: \(one.errors)")
    }
    return rates
  }

  /// Sends to a slice; the closure measures what arrives there, in Mbit/s.
  func receive(at slice: String, _ body: (() throws -> Double) throws -> Void) throws {
    let network = try node.inspect(slice)
    let pid = "\(try #require(network["pid"].integer))"
    let address = try #require(network["network"]["ipv4"].string)
    let sink = try node.host.start(inside([probe, "sink", "6000"], pid))
    guard eventually({ !sink.output.isEmpty }) else {
      throw HarnessError("no sink: \(sink.errors)")
    }
    let sender = try node.host.start(inside([probe, "tcp", address, "6000"]))
    defer {
      sender.signal(SIGKILL)
      sink.signal(SIGKILL)
    }
    usleep(1_000_000)
    try body { try Self.rates(sink, seconds: 5)[0] }
    #expect(sender.isRunning, "the connection: \(sender.errors)")
  }

  /// That one of three measurements gives what is wanted, all of its figures.
  func expect(
    _ what: String, precision: Double, _ measure: () throws -> [(measured: Double, wanted: Double)]
  ) throws {
    var tries: [String] = []
    for _ in 0..<3 {
      let figures = try measure()
      let text = figures.map {
        "\(($0.measured * 1000).rounded() / 1000) for \(($0.wanted * 1000).rounded() / 1000)"
      }.joined(separator: ", ")
      tries.append(text)
      if figures.allSatisfy({ abs($0.measured / $0.wanted - 1) <= precision }) {
        print("\(what): \(text)")
        return
      }
    }
    Issue.record("\(what): \(tries.joined(separator: "; "))")
  }

  func end() {
    sink?.signal(SIGKILL)
    holder.signal(SIGKILL)
    _ = holder.wait(seconds: 5)
    // Its namespace takes the pair along, in its own time.
    _ = try? node.host.run(["ip", "link", "delete", "up0"])
  }
}

private func withSite(
  total: String? = "100M", _ body: (TestNode, Site) throws -> Void
) throws {
  let options = TestNode.Options(
    allowUnenforced: false, policy: total.map { "[total]\nnet = \"\($0)\"\n" } ?? "")
  try withNode(options) { node in
    let site = try Site(node)
    defer { site.end() }
    // The uplink came after sliced: it must have been found.
    let wanted = total == nil ? "found" : "shaped"
    guard eventually(within: 10, { (try? site.states().last) == wanted }) else {
      throw HarnessError("the uplink is not found")
    }
    try body(node, site)
  }
}

extension PrivateHost {
  fileprivate func succeed(_ command: String...) throws {
    let result = try run(command)
    guard result.status == 0 else { throw HarnessError("\(command): \(result)") }
  }
}
