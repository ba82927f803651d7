import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What reaches whom, and that nothing else does. The program alone is tested, packet by packet, by
/// Tests/ClassifierTests.
@Suite(.requiresSlices) struct ClassifierTests {
  // MARK: - Destinations

  @Test func aSliceReachesTheWorldItsOwnersSlicesAndNobodyElse() throws {
    try withWorld { node, world in
      try node.createServer("web", as: .alice)
      try node.createServer("other", as: .bob)
      try node.create("client", as: .alice)
      let host = try world.startServers()
      defer { host.forEach { $0.signal(SIGKILL) } }
      let web = try node.addresses("web")
      let other = try node.addresses("other")
      for (address, what, reachable) in [
        (web.v4, "slice of the same owner", true), (web.v6, "slice of the same owner", true),
        (other.v4, "slice of another owner", false), (other.v6, "slice of another owner", false),
        (World.address4, "world", true), (World.address6, "world", true),
        (World.host4, "host", false), (World.host6, "host", false),
        (node.gateway4, "gateway", false), (node.gateway6, "gateway", false),
        (World.private4, "the site", false), (World.private6, "the site", false),
      ] {
        #expect(
          try node.answers(address, to: "client", as: .alice) == reachable, "\(what) at \(address)")
      }
      for url in ["http://\(other.v4)/", "http://[\(other.v6)]/", "http://\(web.v4)/"] {
        #expect(
          try node.host.run(["curl", "-sf", "-m", "5", url]).output == "it works\n", "\(url)")
      }
      let drops = try node.drops("client")
      for reason in ["host", "otherOwner", "site"] {
        #expect(drops[reason, default: 0] > 0, "\(reason)")
      }
      #expect(
        try node.json("shares", "client").array?.first?["net"]["droppedPackets"].number ?? 0 > 0)
    }
  }

  @Test func thePolicyOpensWhatItNames() throws {
    let policy = """
      [network]
      allow = ["\(World.private4)", "fd00:9::/32"]
      host-ports = ["80/tcp"]
      name-servers = ["\(World.private4Other)"]
      """
    try withWorld(.init(policy: policy)) { node, world in
      try node.create("client")
      let servers = try world.startServers(alsoOn: 53)
      defer { servers.forEach { $0.signal(SIGKILL) } }
      for address in [World.private4, World.private6, World.host4, World.host6, node.gateway4] {
        #expect(try node.answers(address, to: "client"), "\(address)")
      }
      #expect(try node.answers(World.private4Other, to: "client", port: 53))
      #expect(try !node.answers(World.private4Other, to: "client"))
      #expect(try !node.answers(World.host4, to: "client", port: 53))
    }
  }

  @Test func aSliceIsAllowedMoreThanOthersAndOnlyUntilThatIsTakenBack() throws {
    let policy = """
      [owners.4242]
      networks = ["10.1.0.0/16", "80/tcp"]
      """
    try withWorld(.init(policy: policy)) { node, world in
      try node.create("client", as: .alice)
      try node.create("other", as: .alice)
      let servers = try world.startServers()
      defer { servers.forEach { $0.signal(SIGKILL) } }
      let places = [
        World.private4, World.private4Other, World.private6, World.host4, World.host6,
      ]
      func reaches(_ slice: String) throws -> [Bool] {
        let one =
          "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 $a 80 | grep -q '^HTTP/1' && echo $a"
        let answers = try node.slicectl(
          "exec", slice, "--", "sh", "-c",
          "for a in \(places.joined(separator: " ")); do (\(one)) & done; wait", as: .alice)
        let lines = Set(answers.output.split(separator: "\n").map(String.init))
        return places.map(lines.contains)
      }
      #expect(try reaches("client") == [false, false, false, false, false])
      try node.succeed("set", "client", "net.allow=\(World.private4)", as: .alice)
      #expect(try reaches("client") == [true, false, false, false, false])
      #expect(try reaches("other") == [false, false, false, false, false])
      try node.succeed("set", "client", "net.allow=10.1.2.0/24,80/tcp", as: .alice)
      #expect(try reaches("client") == [false, true, false, true, true])

      // What an owner has no leave for changes nothing; root needs none.
      for text in ["10.0.0.0/8", "fd00:9::/32", "22/tcp", "10.1.2.0/24,81/tcp"] {
        let refused = try node.slicectl("set", "client", "net.allow=\(text)", as: .alice)
        #expect(refused.fails(4, "not for you to allow", "80/tcp"), "\(refused)")
      }
      let theirs = try node.slicectl(
        "create", "his", "--image", "minimal", "--set", "net.allow=\(World.private4)", as: .bob)
      #expect(theirs.fails(4, "net.allow", "administrator"), "\(theirs)")
      let bad = try node.slicectl("set", "client", "net.allow=10.1.2.3/24")
      #expect(bad.fails(2, "net.allow", "10.1.2.0/24"), "\(bad)")
      #expect(try reaches("client") == [false, true, false, true, true])
      try node.succeed("set", "client", "net.allow=fd00:9::/32", as: .root)
      #expect(try reaches("client") == [false, false, true, false, false])

      // It outlives the supervisor and a restart of the slice.
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try reaches("client") == [false, false, true, false, false])
      try node.succeed("restart", "client", as: .alice)
      #expect(try reaches("client") == [false, false, true, false, false])

      // What goes on and on ends when it is taken back.
      let pid = try #require(try node.inspect("client")["pid"].integer)
      let sender = try node.host.start([
        "nsenter", "-t", "\(pid)", "-n", "python3", "-c",
        """
        import socket, time
        s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        while True:
            try: s.sendto(b'x', ('\(World.private6)', 9))
            except OSError: pass  # nobody is there
            time.sleep(0.001)
        """,
      ])
      defer { sender.signal(SIGKILL) }
      func arrived() throws -> Int {
        let counters = try node.host.run(world.command(["cat", "/proc/net/snmp6"])).output
        let line = counters.split(separator: "\n").first { $0.hasPrefix("Udp6NoPorts") }
        return try #require(line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
      }
      #expect(try eventually(within: 10) { try arrived() > 100 }, "the control")
      try node.succeed("set", "client", "net.allow=default", as: .alice)
      let last = try arrived()
      usleep(300_000)
      #expect(try arrived() == last)
    }
  }

  // MARK: - Attacks

  @Test(
    .requiresProgram("/usr/sbin/nft"), .requiresProgram("/usr/bin/cc"), .timeLimit(.minutes(60)))
  func whatASliceForgesGoesNowhere() throws {
    try withWorld { node, world in
      try node.create("attacker", as: .alice)
      try node.create("friend", as: .alice)
      try node.create("victim", as: .bob)
      let attack = try Attack(node, world, from: "attacker", friend: "friend", victim: "victim")

      let before = try node.drops("attacker")
      var forged = try attack.run("forbidden")
      // For long too, where somebody asks for it: some minutes for each second.
      if let seconds = getenv("SLICES_ATTACK_SECONDS").map({ String(cString: $0) }) {
        let more = try attack.run("in-turn", seconds: seconds)
        print("sent in \(seconds) s each: \(more.sorted { $0.key < $1.key })")
        forged.merge(more, uniquingKeysWith: +)
      }
      let after = try node.drops("attacker")
      #expect(try attack.passed() == 0, "past the classifier")
      #expect(try attack.sniffed() == [0, 0, 0], "in the world, at friend and victim")
      for (reason, sent) in forged {
        let counted = after[reason, default: 0] - before[reason, default: 0]
        #expect(counted * 2 >= sent, "\(reason): \(counted) counted of \(sent)")
      }
      let told = try #require(try node.json("shares", "attacker").array?.first)["net"]
      let reasons = (told["drops"].array ?? []).filter { $0["direction"].string == "sent" }
      #expect(Set(reasons.compactMap { $0["reason"].string }).isSuperset(of: forged.keys))
      let sum = reasons.reduce(0) { $0 + ($1["packets"].integer ?? 0) }
      #expect(told["sentDroppedPackets"].integer == sum)
      #expect(told["droppedPackets"].integer ?? 0 >= sum)
      let owned = try attack.run("allowed")
      #expect(try attack.passed() * 2 >= owned["pass"] ?? 0, "what is its own passes")

      // The control: the same without the classifier.
      _ = try node.host.run(["tc", "qdisc", "delete", "dev", attack.link, "clsact"])
      try attack.reset()
      let free = try attack.run("forbidden")
      #expect(try attack.passed() * 2 >= free.values.reduce(0, +))
      #expect(try attack.sniffed().allSatisfy { $0 > 0 })

      // The next supervisor puts it back, as it does for slices of one that had no classifier.
      node.crashSupervisor()
      try node.startSupervisor()
      try attack.reset()
      _ = try attack.run("forbidden")
      #expect(try attack.passed() == 0)
      #expect(try attack.sniffed() == [0, 0, 0])
    }
  }

  // MARK: - Without

  @Test(.requiresProgram("/usr/bin/cc")) func withoutBPFThereIsNoLink() throws {
    let without = "/tmp/slices-without-bpf.\(getpid())"
    let built = try Command.run([
      "cc", "-o", without, Host.packageDirectory + "/Tests/Probes/without.c",
    ])
    defer { unlink(without) }
    try #require(built.status == 0, "\(built)")
    var options = TestNode.Options(allowUnenforced: false)
    options.wrapper = [without, "321"]  // bpf, on x86-64
    try withNode(options) { node in
      let refused = try node.slicectl("create", "web", "--image", "minimal")
      #expect(refused.fails(5, "net.mode", "classifier", "hint"), "\(refused)")
      try node.create("alone", "--set", "net.mode=none")
      try node.create("web", "--allow-unenforced")
      let web = try node.inspect("web")
      #expect(web["unenforced"] == .array([.string("net.mode")]))
      #expect(web["network"]["drops"] == .null && web["network"]["link"] != .null)
      try node.succeed("restart", "web")
    }
  }

  // MARK: - Recovery

  @Test func itOutlivesTheSupervisorWithItsCounters() throws {
    try withWorld { node, world in
      try node.create("client")
      try node.createServer("web")
      let web = try node.addresses("web")
      let server = try node.host.start([
        "\(Host.programs)/busybox", "httpd", "-f", "-p", "[::]:80", "-h", node.runtime,
      ])
      defer { server.signal(SIGKILL) }
      #expect(try !node.answers(World.host4, to: "client"))
      let counted = try node.drops("client")["host", default: 0]
      #expect(counted > 0)
      let pid = "\(try #require(try node.inspect("client")["pid"].integer))"
      // A connection of the host's that is open meanwhile.
      let open = try node.host.start(["nc", "-w", "30", web.v4, "80"])
      node.crashSupervisor()
      _ = try node.host.run([
        "nsenter", "-t", pid, "-n", "curl", "-s", "-m", "1", "http://\(World.host4)/",
      ])
      try node.startSupervisor()
      #expect(try node.drops("client")["host", default: 0] > counted, "dropped without sliced too")
      #expect(try !node.answers(World.host4, to: "client"))
      #expect(
        try node.host.run(["curl", "-sf", "-m", "5", "http://\(web.v4)/"]).output == "it works\n")
      open.signal(SIGKILL)
      try node.succeed("restart", "client")
      #expect(try node.drops("client")["host"] == 0, "another link")
    }
  }
}

// MARK: - The world

/// A network namespace behind the host's uplink, with a site's private networks on the way.
struct World {
  static let host4 = "203.0.113.2"
  static let host6 = "2001:db8:113::2"
  static let address4 = "198.51.100.1"
  static let address6 = "2001:db8:51::1"
  static let private4 = "10.1.9.3"
  static let private4Other = "10.1.2.53"
  static let private6 = "fd00:9::3"

  let node: TestNode
  let holder: BackgroundCommand
  /// Of a process inside, in the host's PID namespace.
  let pid: String

  init(_ node: TestNode) throws {
    self.node = node
    let holder = try node.host.start(["unshare", "--net", "sh", "-c", "echo $$; exec sleep 3600"])
    guard eventually({ holder.output.hasSuffix("\n") }) else { throw HarnessError("no world") }
    self.holder = holder
    pid = String(holder.output.dropLast())
    let made = try node.host.run([
      "sh", "-ec",
      """
      ip link add up0 type veth peer name up1 netns \(pid)
      ip address add \(Self.host4)/24 dev up0
      ip address add \(Self.host6)/64 dev up0 nodad
      ip link set up0 up
      inside() { nsenter -t \(pid) -n "$@"; }
      inside ip link set lo up
      for a in \(Self.address4)/32 \(Self.private4)/32 \(Self.private4Other)/32; do
        inside ip address add $a dev lo; done
      for a in \(Self.address6)/128 \(Self.private6)/128; do inside ip address add $a dev lo nodad; done
      inside ip address add 203.0.113.1/24 dev up1
      inside ip address add 2001:db8:113::1/64 dev up1 nodad
      inside ip link set up1 up
      ip route add default via 203.0.113.1
      ip route add default via 2001:db8:113::1
      """,
    ])
    guard made.status == 0 else { throw HarnessError("world: \(made)") }
  }

  func command(_ arguments: [String]) -> [String] { ["nsenter", "-t", pid, "-n"] + arguments }

  /// HTTP servers on all addresses of the host and of the world, at port 80 and maybe another.
  func startServers(alsoOn other: Int? = nil) throws -> [BackgroundCommand] {
    var started: [BackgroundCommand] = []
    for port in [80] + (other.map { [$0] } ?? []) {
      let server = [
        "\(Host.programs)/busybox", "httpd", "-f", "-p", "[::]:\(port)", "-h", node.runtime,
      ]
      started += [try node.host.start(server), try node.host.start(command(server))]
    }
    return started
  }

  func remove() {
    holder.signal(SIGKILL)
    _ = holder.wait(seconds: 5)
    // Its namespace takes the pair along, in its own time.
    _ = try? node.host.run(["ip", "link", "delete", "up0"])
  }
}

func withWorld(
  _ options: TestNode.Options = .init(), _ body: (TestNode, World) throws -> Void
) throws {
  try withNode(options) { node in
    let world = try World(node)
    defer { world.remove() }
    try body(node, world)
  }
}

extension TestNode {
  fileprivate var gateway4: String { "172.31.128.1" }
  fileprivate var gateway6: String { "fd73:6c69:6365::1" }

  fileprivate func create(_ name: String, as user: TestUser) throws {
    try succeed(
      "create", name, "--image", "minimal", "--", "sleep", "100000", as: user)
  }

  /// A slice that answers any number of HTTP requests with `it works`.
  fileprivate func createServer(_ name: String, as user: TestUser = .root) throws {
    try succeed(
      "create", name, "--image", "minimal", "--", "sh", "-c",
      "mkdir -p /tmp/www && echo it works >/tmp/www/index.html && exec httpd -f -p '[::]:80' -h /tmp/www",
      as: user)
    let address = try addresses(name).v4
    guard
      try eventually(
        within: 20,
        { try host.run(["curl", "-sf", "-m", "5", "http://\(address)/"]).status == 0 })
    else { throw HarnessError("\(name) does not serve") }
  }

  fileprivate func addresses(_ name: String) throws -> (v4: String, v6: String) {
    let network = try json("inspect", name)["network"]
    return (try #require(network["ipv4"].string), try #require(network["ipv6"].string))
  }

  /// Whether something answers an HTTP request from a slice.
  fileprivate func answers(
    _ address: String, to slice: String, port: Int = 80, as user: TestUser = .root
  ) throws -> Bool {
    try slicectl(
      "exec", slice, "-i", "--", "nc", "-w", "2", address, "\(port)", as: user,
      input: "GET / HTTP/1.0\r\n\r\n"
    ).output.hasPrefix("HTTP/1.")
  }

  /// Packets of the slice that were dropped, by reason.
  fileprivate func drops(_ slice: String) throws -> [String: Int] {
    let sent = try json("inspect", slice)["network"]["drops"]["sent"]
    return Dictionary(
      uniqueKeysWithValues: sent.keys.map { ($0, Int(sent[$0]["packets"].number ?? -1)) })
  }
}

// MARK: - The attack

/// Sends all rows of Tests/ClassifierTests/frames.py from the network namespace of a slice, as root of
/// the host: what a slice could do that has got round its seccomp filter and its capabilities.
private final class Attack {
  let node: TestNode
  let link: String
  private let world: World
  private let command: [String]
  private let victims: [String]
  private var sniffers: [BackgroundCommand] = []

  private static let scripts = Host.packageDirectory + "/Tests/ClassifierTests"

  init(_ node: TestNode, _ world: World, from slice: String, friend: String, victim: String) throws
  {
    self.node = node
    self.world = world
    let blast = node.directory + "/blast"
    let built = try Command.run([
      "cc", "-O2", "-D_GNU_SOURCE", "-o", blast, Host.packageDirectory + "/Tests/Probes/blast.c",
    ])
    guard built.status == 0 else { throw HarnessError("cc: \(built)") }
    let inspected = try node.json("inspect", slice)
    link = try #require(inspected["network"]["link"].string)
    func pid(_ slice: String) throws -> String {
      "\(Int(try #require(try node.json("inspect", slice)["pid"].number)))"
    }
    func mac(_ slice: String) throws -> String {
      try node.execute(slice, "cat", "/sys/class/net/eth0/address").filter { $0 != ":" }
    }
    let own = try node.addresses(slice)
    let (friends, others) = (try node.addresses(friend), try node.addresses(victim))
    let shown = try JSONValue(
      parsing: try node.host.run(["ip", "-j", "link", "show", "dev", link]).outputBytes)
    let hostMAC = try #require(shown.array?.first?["address"].string).filter { $0 != ":" }
    command = [
      "nsenter", "-t", try pid(slice), "-n", "python3", Self.scripts + "/attack.py", "KIND", blast,
      "eth0", "SECONDS", "mac=\(try mac(slice))", "friend_mac=\(try mac(friend))",
      "host_mac=\(hostMAC)", "me4=\(own.v4)", "me6=\(own.v6)", "friend4=\(friends.v4)",
      "friend6=\(friends.v6)", "foreign4=\(others.v4)", "foreign6=\(others.v6)",
      "gateway4=\(node.gateway4)", "gateway6=\(node.gateway6)", "empty4=172.31.200.99",
    ]
    victims = try [friend, victim].map(pid)
    try reset()
  }

  /// What was sent, by the reason that it should be dropped for.
  ///
  /// - Parameter seconds: of each row in each of the ways to send.
  func run(_ kind: String, seconds: String = "0.05") throws -> [String: Int] {
    let words = ["KIND": kind, "SECONDS": seconds]
    let result = try node.host.run(command.map { words[$0] ?? $0 }, timeout: 3000)
    guard result.status == 0 else { throw HarnessError("attack: \(result)") }
    var sent: [String: Int] = [:]
    for line in result.output.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3)
      // What a raw socket takes may still end in the slice's own routing.
      if words[0] != "raw" { sent[String(words[1]), default: 0] += Int(words[2]) ?? 0 }
    }
    return sent
  }

  /// Begins to count anew, behind the classifier, in the world and at the two other slices.
  func reset() throws {
    let script = """
      nft delete table netdev past 2>/dev/null
      nft -f - <<END
      table netdev past {
        chain ingress {
          type filter hook ingress device "\(link)" priority 0
          counter
        }
      }
      END
      """
    let made = try node.host.run(["sh", "-c", script])
    guard made.status == 0 else { throw HarnessError("nft: \(made)") }
    sniffers.forEach { $0.signal(SIGKILL) }
    sniffers = try ([world.pid] + victims).map {
      try node.host.start(["nsenter", "-t", $0, "-n", "python3", Self.scripts + "/sniff.py"])
    }
    guard eventually({ sniffers.allSatisfy { $0.output == "ready\n" } }) else {
      throw HarnessError("no sniffers: \(sniffers.map(\.errors))")
    }
  }

  /// Packets that have passed the classifier: the hook of netdev comes right behind it.
  func passed() throws -> Int {
    let listing = try node.host.run(["nft", "list", "table", "netdev", "past"]).output
    let words = listing.split(whereSeparator: \.isWhitespace)
    let place = try #require(words.firstIndex(of: "packets"))
    return try #require(Int(words[place + 1]))
  }

  /// What came in at the world, friend and victim. Ends their sniffers.
  func sniffed() throws -> [Int] {
    usleep(200_000)
    return try sniffers.map { sniffer in
      sniffer.signal(SIGTERM)
      let words = sniffer.wait(seconds: 10).output.split(separator: "\n")
      return try #require(words.last.flatMap { Int($0) })
    }
  }

  deinit {
    sniffers.forEach { $0.signal(SIGKILL) }
    _ = try? node.host.run(["nft", "delete", "table", "netdev", "past"])
  }
}
