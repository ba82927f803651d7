import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// AF_XDP in slices, by the example that the documentation shows and by a tool of Tests/BrokerTests. What the
/// broker does with single requests is tested there.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct XDPTests {
  @Test func whatWasGrantedComesAndGoes() throws {
    try withEchoes { node in
      try node.createEcho("a", "xdp,udp:7000-7001")
      for text in ["one", "two"] {
        #expect(try node.echo("a", 7000, text) == text)
        #expect(try node.echo("a", 7001, text) == text)
      }
      // Another port is the slice's other sockets': there is none.
      #expect(try node.echo("a", 7002, "three") == nil)
      #expect(try node.host.run(["ping", "-c1", "-W5", node.address("a")]).status == 0)
    }
  }

  @Test func withoutTheGrantItIsRefusedAndTold() throws {
    try withEchoes { node in
      try node.createIdle("a", "udp:7000")
      let result = try node.slicectl("exec", "a", "--", "xdp-echo")
      #expect(result.status == 1 && result.errors.contains("Operation not permitted"), "\(result)")
      func calls() throws -> [String] {
        try node.events("raw-refused", of: "a").compactMap { $0["call"].string }
      }
      #expect(try eventually { try calls() == ["socket(AF_XDP, SOCK_RAW, 0)"] })
      // Nor is there another way to one.
      try node.createIdle("b", nil)
      let other = try node.slicectl("exec", "b", "--", "xdp-echo")
      #expect(other.status == 1 && other.errors.contains("No such file"), "\(other)")
    }
  }

  @Test func aGrantThatIsWithdrawnEndsItAtOnce() throws {
    try withEchoes { node in
      try node.createEcho("a", "xdp,udp:7000")
      #expect(try node.echo("a", 7000, "before") == "before")
      let flood = try node.start(
        "exec", "a", "-i", "--", "xdp", "/run/slice/raw", "hold")
      defer { flood.signal(SIGKILL) }
      #expect(flood.wait(seconds: 20).output.contains("EBUSY"), "there is one at a time")
      try node.succeed("set", "a", "raw.allow=udp:7000")
      #expect(try node.echo("a", 7000, "after") == nil)
      // Granted again, the socket of before stays out of use; a new one works.
      try node.succeed("set", "a", "raw.allow=xdp,udp:7000")
      #expect(try node.echo("a", 7000, "again") == nil)
      try node.succeed("restart", "a")
      #expect(try eventually(within: 20) { try node.echo("a", 7000, "anew") == "anew" })
    }
  }

  /// Sends all the time, which the host's end counts.
  @Test func whatSendsStopsWithTheGrant() throws {
    try withSites { node, sites in
      try node.importTools()
      defer { node.removeTools() }
      try node.createIdle("a", "xdp,udp:7000")
      let sender = try node.start(
        "exec", "a", "-i", "--", "xdp", "/run/slice/raw", "send", "2000000000",
        try node.datagram("a", from: 7000, to: Sites.peer4))
      defer { sender.signal(SIGKILL) }
      let tap = try sites.start(.peer, "python3", "-uc", Self.counter, "eth0", "forged!")
      defer { tap.signal(SIGKILL) }
      #expect(eventually(within: 20) { Self.seen(tap) > 100 }, "the control: \(tap.output)")
      try node.succeed("set", "a", "raw.allow=udp:7000")
      // It goes on trying.
      func isDropped(_ count: Int) throws -> Bool {
        let before = try node.dropped("a", "port")
        return try eventually(within: 20) { try node.dropped("a", "port") > before + count }
      }
      #expect(try isDropped(1))
      let seen = Self.seen(tap)
      #expect(try isDropped(2000))
      #expect(Self.seen(tap) <= seen + 100, "those on their way")
    }
  }

  /// Every row of Tests/ClassifierTests/frames.py that is forbidden, and two that only a grant would allow.
  @Test func whatIsForgedDoesNotLeave() throws {
    try withSites { node, sites in
      try node.importTools()
      defer { node.removeTools() }
      try node.createIdle("a", "xdp,udp:7000,sniff")
      let witness = try sites.start(
        .peer, "python3", Host.packageDirectory + "/Tests/ClassifierTests/sniff.py")
      let tap = try sites.start(.peer, "python3", "-uc", Self.counter, "eth0", "forged!")
      defer { [witness, tap].forEach { $0.signal(SIGKILL) } }
      #expect(eventually(within: 20) { witness.output.contains("ready") })
      let ungranted =
        try node.datagram("a", from: 7001, to: Sites.peer4) + "\n"
      let forged = try node.forgedFrames("a")
      let count = forged.split(separator: "\n").count
      #expect(count > 80)
      let dropped = try node.allDropped("a")
      let sent = try node.slicectl(
        "exec", "a", "-i", "--", "xdp", "/run/slice/raw", "lines", "50", input: forged + ungranted)
      #expect(sent.output.split(separator: "\n").count { $0 == "sent 50" } == count + 1, "\(sent)")
      #expect(try eventually { try node.allDropped("a") >= dropped + 50 * (count + 1) })
      witness.signal(SIGTERM)
      #expect(witness.wait(seconds: 10).output == "ready\n0\n")
      // The control: what is granted does leave.
      try node.succeed(
        "exec", "a", "-i", "--", "xdp", "/run/slice/raw", "lines", "101",
        input: try node.datagram("a", from: 7000, to: Sites.peer4) + "\n")
      #expect(eventually { Self.seen(tap) > 100 })
    }
  }

  @Test func itOutlivesBrokerAndSupervisor() throws {
    try withEchoes { node in
      try node.createEcho("a", "xdp,udp:7000")
      let broker = try #require(try node.inspect("a")["raw"]["broker"]["pid"].integer)
      #expect(try node.host.run(["kill", "-9", "\(broker)"]).status == 0)
      #expect(try node.echo("a", 7000, "broker") == "broker")
      #expect(
        try eventually(within: 20) { try !node.events("raw-broker-started", of: "a").isEmpty })
      #expect(try node.echo("a", 7000, "next") == "next")
      let address = try node.address("a")
      node.crashSupervisor()
      #expect(try node.echo(at: address, 7000, "alone") == "alone")
      try node.startSupervisor()
      #expect(try node.echo("a", 7000, "adopted") == "adopted")
      try node.succeed("set", "a", "raw.allow=udp:7000")
      #expect(try node.echo("a", 7000, "withdrawn") == nil)
      try node.succeed("set", "a", "raw.allow=xdp,udp:7000")
      try node.succeed("restart", "a")
      #expect(try eventually(within: 20) { try node.echo("a", 7000, "anew") == "anew" })
    }
  }

  /// TUN by queues, for which nobody has to be asked; many sockets by one request.
  @Test func theOtherExamples() throws {
    try withEchoes { node in
      try node.createIdle("a", "icmp,tun:10.9.0.1/24:queues")
      let tunnel = try node.start("exec", "a", "--", "tun-queues")
      defer { tunnel.signal(SIGKILL) }
      #expect(eventually(within: 20) { tunnel.output.contains("ready") }, "\(tunnel.output)")
      #expect(try node.slicectl("exec", "a", "--", "ping", "-c2", "-W5", "10.9.0.2").status == 0)
      #expect(
        try node.execute("a", "bulk-sockets", "172.31.128.1").hasPrefix("32 of 32 answered"))
    }
  }

  /// Prints how many packets with a text have come in by an interface, again and again.
  private static let counter = """
    import sys
    from socket import *
    tap = socket(AF_PACKET, SOCK_RAW, htons(3))
    tap.bind((sys.argv[1], 0))
    seen = 0
    while True:
        frame, place = tap.recvfrom(2000)
        seen += sys.argv[2].encode() in frame
        if seen % 100 == 1: print(seen)
    """

  private static func seen(_ tap: BackgroundCommand) -> Int {
    tap.output.split(separator: "\n").last.flatMap { Int($0) } ?? 0
  }
}

private func withEchoes(_ body: (TestNode) throws -> Void) throws {
  try withNode { node in
    try node.importTools()
    defer { node.removeTools() }
    try body(node)
  }
}

extension TestNode {
  /// The image `tools` of the examples and of the tool.
  fileprivate func importTools() throws {
    try importPrograms(
      [
        "xdp-echo": try ProbeProgram.path(source: "Docs/examples/raw/xdp-echo.c"),
        "tun-queues": try ProbeProgram.path(source: "Docs/examples/raw/tun-queues.c"),
        "bulk-sockets": Host.packageDirectory + "/.build/debug/bulk-sockets",
        "xdp": try ProbeProgram.path(source: "Tests/BrokerTests/xdp.c"),
      ], as: "tools")
  }

  /// With the slices that use it.
  fileprivate func removeTools() {
    let names = try? json("list").array?.compactMap { $0["name"].string }
    _ = try? slicectl(["destroy", "--force"] + (names ?? []))
    _ = try? slicectl("image", "remove", "tools")
  }

  fileprivate func createIdle(_ name: String, _ grants: String?) throws {
    try createTool(name, grants, ["sleep", "100000"])
  }

  /// Whose service is the example.
  fileprivate func createEcho(_ name: String, _ grants: String) throws {
    try createTool(name, grants, ["xdp-echo"])
    guard try eventually(within: 20, { try succeed("logs", name).contains("ready") }) else {
      throw HarnessError("xdp-echo: \(try succeed("logs", name))")
    }
  }

  private func createTool(_ name: String, _ grants: String?, _ command: [String]) throws {
    let result = try slicectl(
      ["create", name, "--image", "tools"] + (grants.map { ["--set", "raw.allow=\($0)"] } ?? [])
        + ["--"] + command)
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
  }

  fileprivate func address(_ slice: String) throws -> String {
    guard let text = try json("inspect", slice)["network"]["ipv4"].string else {
      throw HarnessError("\(slice) has no address")
    }
    return text
  }

  /// The answer to a datagram from the host; nil: none in a second, three times.
  fileprivate func echo(_ slice: String, _ port: Int, _ text: String) throws -> String? {
    try echo(at: try address(slice), port, text)
  }

  fileprivate func echo(at address: String, _ port: Int, _ text: String) throws -> String? {
    let program = """
      import sys
      from socket import *
      asking = socket(AF_INET, SOCK_DGRAM); asking.settimeout(1)
      asking.connect((sys.argv[1], int(sys.argv[2])))
      for _ in range(3):
          try: asking.send(sys.argv[3].encode()); print(asking.recv(2000).decode()); break
          except (ConnectionRefusedError, TimeoutError): pass
      """
    let result = try host.run(["python3", "-c", program, address, "\(port)", text])
    guard result.status == 0 else { throw HarnessError("\(result)") }
    return result.output.isEmpty ? nil : String(result.output.dropLast())
  }

  /// A UDP datagram of the slice, a whole frame, in hexadecimal.
  fileprivate func datagram(_ slice: String, from port: Int, to target: String) throws -> String {
    let mac = try execute(slice, "cat", "/sys/class/net/eth0/address").filter { $0 != ":" }
    let program = """
      import sys
      sys.path.insert(0, "\(Host.packageDirectory)/Tests/ClassifierTests")
      from packets import *
      packet = ipv4(sys.argv[1], sys.argv[4], UDP, udp(int(sys.argv[2]), 9, b"forged!"))
      print(ethernet(packet, IPV4, source=bytes.fromhex(sys.argv[3].strip())).hex())
      """
    let made = try Command.run([
      "python3", "-c", program, try address(slice), "\(port)", mac, target,
    ])
    guard made.status == 0 else { throw HarnessError("\(made)") }
    return String(made.output.dropLast())
  }

  /// Rows of frames.py that no slice may send, in hexadecimal, a line each.
  fileprivate func forgedFrames(_ slice: String) throws -> String {
    let mac = try execute(slice, "cat", "/sys/class/net/eth0/address").filter { $0 != ":" }
    let network = try json("inspect", slice)["network"]
    let program = """
      import sys
      sys.path.insert(0, "\(Host.packageDirectory)/Tests/ClassifierTests")
      import frames
      Scene = frames.Scene
      Scene.mac = bytes.fromhex(sys.argv[1].strip())
      Scene.me4, Scene.me6 = sys.argv[2:4]
      for words, reason, frame in frames.sent(Scene):
          if reason != "pass": print(frame.hex())
      """
    let made = try Command.run([
      "python3", "-c", program, mac, network["ipv4"].string ?? "", network["ipv6"].string ?? "",
    ])
    guard made.status == 0 else { throw HarnessError("\(made)") }
    return made.output
  }

  /// For any reason.
  fileprivate func allDropped(_ slice: String) throws -> Int {
    let sent = try inspect(slice)["network"]["drops"]["sent"]
    return sent.keys.reduce(0) { $0 + Int(sent[$1]["packets"].number ?? 0) }
  }

  fileprivate func dropped(_ slice: String, _ reason: String) throws -> Int {
    Int(try inspect(slice)["network"]["drops"]["sent"][reason]["packets"].number ?? 0)
  }
}
