import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Networks of slices' own on two nodes, carried between them by VXLAN and by WireGuard.
@Suite(.serialized, .requiresSlices) struct OverlayPeerTests {
  private static let subnet = "10.64.0.0/16"

  @Test func nodesCarryItBetweenThem() throws {
    try withTwoNodes { one, two in
      for (node, part) in [(one, "10.64.1.0/24"), (two, "10.64.2.0/24")] {
        try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet, "--part", part)
        try node.createRaw("a", "proto:89")
        try node.create("x")
        try node.succeed("overlay", "join", "mesh", "a")
      }
      // Not before both know each other.
      #expect(try !one.ping("10.64.2.2", from: "a"))
      try one.succeed("overlay", "peer", "add", "mesh", Self.address(2), "--part", "10.64.2.0/24")
      #expect(try !one.ping("10.64.2.2", from: "a"))
      try two.succeed("overlay", "peer", "add", "mesh", Self.address(1), "--part", "10.64.1.0/24")
      #expect(try one.ping("10.64.2.2", from: "a"))
      #expect(try two.ping("10.64.1.2", from: "a"))
      #expect(try one.ping("10.64.2.1", from: "a"), "the other node's end")
      #expect(try !one.ping("10.64.2.2", from: "x"), "no member")

      // Large packets, in both directions, whole.
      let listener = try two.listen(in: "a", at: "10.64.2.2")
      defer { listener.signal(SIGKILL) }
      let sent = try one.send(String(repeating: "z", count: 1400), from: "a", to: "10.64.2.2")
      #expect(sent.status == 0, "\(sent)")
      #expect(
        eventually(within: 5) {
          listener.output.contains("10.64.1.2 " + String(repeating: "z", count: 1400))
        })

      try grantedProtocolsPass(one, two)
      try outsidersAreKeptOut(one, two)
      // The supervisor's crash and return changes nothing.
      one.crashSupervisor()
      try one.startSupervisor()
      #expect(try one.ping("10.64.2.2", from: "a"))
      let carried = try one.json("overlay", "inspect", "mesh")["carried"]["sentPackets"].integer
      #expect(carried ?? 0 > 0)

      try two.succeed("overlay", "peer", "remove", "mesh", Self.address(1))
      #expect(try !one.ping("10.64.2.2", from: "a"))
      let rules = ["nft", "list", "table", "inet", "slices-carriers"]
      #expect(try two.host.run(rules).status != 0, "nobody is kept from the port without need")
      #expect(try one.host.run(rules).status == 0)
      // The same over IPv6.
      try one.succeed("overlay", "peer", "remove", "mesh", Self.address(2))
      try one.succeed("overlay", "peer", "add", "mesh", Self.address6(2), "--part", "10.64.2.0/24")
      try two.succeed("overlay", "peer", "add", "mesh", Self.address6(1), "--part", "10.64.1.0/24")
      #expect(try eventually(within: 5) { try one.ping("10.64.2.2", from: "a") })
      for node in [one, two] {
        try node.succeed("destroy", "--force", "a", "x")
        try node.succeed("overlay", "delete", "mesh")
      }
    }
  }

  /// Also with a time to live of one link, and no longer than both ends have the grant.
  private func grantedProtocolsPass(_ one: TestNode, _ two: TestNode) throws {
    let listener = try two.start(
      "exec", "a", "--", "python3", "-uc",
      """
      from socket import *
      s = socket(AF_INET, SOCK_RAW, 89)
      print("ready")
      while True: print(s.recv(2000)[20:].decode())
      """)
    defer { listener.signal(SIGKILL) }
    try #require(eventually { listener.output.contains("ready") }, "\(listener.errors)")
    func send(_ text: String) throws {
      let sent = try one.host.run([
        "nsenter", "-t", try one.pid("a"), "-n", "python3", "-c",
        """
        from socket import *
        s = socket(AF_INET, SOCK_RAW, 89)
        s.setsockopt(IPPROTO_IP, IP_TTL, 1)
        s.sendto(b"\(text)", ("10.64.2.2", 0))
        """,
      ])
      try #require(sent.status == 0, "\(sent)")
    }
    func drops(_ node: TestNode, _ reason: String) throws -> Int {
      let member = try node.json("overlay", "inspect", "mesh")["members"].array?.first
      return Int(member?["dropped"][reason].integer ?? 0)
    }
    try send("granted")
    #expect(eventually { listener.output.contains("granted\n") })
    try two.succeed("set", "a", "raw.allow=icmp")
    try send("not to it")
    #expect(try eventually { try drops(two, "received") == 1 })
    try one.succeed("set", "a", "raw.allow=icmp")
    try send("not from it")
    #expect(try eventually { try drops(one, "protocol") == 1 })
    #expect(listener.output == "ready\ngranted\n", "\(listener.output)")
  }

  /// What a member sends to another node leaves by the uplink as its own.
  @Test func bandwidthHoldsAcrossNodes() throws {
    try withTwoNodes { one, two in
      for (node, number, other) in [(one, 1, 2), (two, 2, 1)] {
        try node.succeed(
          "overlay", "create", "mesh", "--subnet", Self.subnet, "--part", "10.64.\(number).0/24")
        try node.succeed(
          "overlay", "peer", "add", "mesh", Self.address(other), "--part", "10.64.\(other).0/24")
        try node.create("a")
        try node.succeed("overlay", "join", "mesh", "a")
      }
      let listener = try BackgroundCommand(
        two.slicectlCommand(["traffic", "a", "--listen", "--protocol", "tcp"]))
      defer { listener.signal(SIGKILL) }
      #expect(try eventually(within: 10) { try one.ping("10.64.2.2", from: "a") })
      usleep(500_000)
      func rate() throws -> Double {
        let sent = try one.json(
          "traffic", "a", "--to", "10.64.2.2", "--protocol", "tcp", "--duration", "3s")
        return try #require(sent["receivedBitsPerSecond"].number, "\(sent)")
      }
      #expect(try rate() > 40e6, "the control: without a bound")
      try one.succeed("set", "a", "net.max=8M")
      let bounded = try rate()
      #expect((4e6...9e6).contains(bounded), "\(bounded)")
      for node in [one, two] {
        try node.succeed("destroy", "--force", "a")
        try node.succeed("overlay", "delete", "mesh")
      }
    }
  }

  /// VXLAN to node one that claims to be from a member of node two.
  private func outsidersAreKeptOut(_ one: TestNode, _ two: TestNode) throws {
    let identifier = try #require(try one.json("overlay", "inspect", "mesh")["id"].integer)
    let listener = try one.listen(in: "a", at: "10.64.1.2")
    defer { listener.signal(SIGKILL) }
    func script(_ text: String, inner: String) -> [String] {
      [
        "python3", "-c",
        """
        import socket, struct, sys
        def sum16(b):
            s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
            s = (s >> 16) + (s & 0xffff)
            return ~(s + (s >> 16)) & 0xffff
        data = sys.argv[1].encode()
        udp = struct.pack('!4H', 40000, 7000, 8 + len(data), 0) + data
        head = struct.pack('!2B3H2BH', 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) \\
            + socket.inet_aton(sys.argv[2]) + socket.inet_aton('10.64.1.2')
        head = head[:10] + struct.pack('!H', sum16(head)) + head[12:]
        frame = bytes.fromhex('02736f00000202736f0000010800') + head + udp
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if sys.argv[3]: s.bind((sys.argv[3], 0))
        s.sendto(struct.pack('!II', 0x08000000, \(Int(identifier)) << 8) + frame, ('\(Self.address(1))', 4789))
        """, text, inner,
      ]
    }
    func send(_ text: String, inner: String, outer: String) throws {
      let result = try two.host.run(script(text, inner: inner) + [outer])
      try #require(result.status == 0, "\(result)")
    }
    // As the peer's kernel would: the packet is right, so what is dropped below is dropped for its sender.
    try send("peer", inner: "10.64.2.2", outer: Self.address(2))
    #expect(eventually(within: 5) { listener.output.contains("10.64.2.2 peer") })
    try send("stranger", inner: "10.64.2.2", outer: Self.stranger)
    try send("not-its-part", inner: "10.64.7.7", outer: Self.address(2))
    try send("as-local", inner: "10.64.1.9", outer: Self.address(2))
    // A slice whose packets the node masquerades would come from the peer's address.
    let pid = try two.pid("x")
    let slice = try two.host.run(
      ["nsenter", "-t", pid, "-n"] + script("masqueraded", inner: "10.64.2.2") + [""])
    #expect(slice.status == 0, "\(slice)")
    let drops = try two.json("inspect", "x")["network"]["drops"]["sent"]["protocol"]["packets"]
    #expect(drops.integer == 1)
    try send("end", inner: "10.64.2.2", outer: Self.address(2))
    #expect(eventually(within: 5) { listener.output.contains("10.64.2.2 end") })
    #expect(listener.output == "ready\n10.64.2.2 peer\n10.64.2.2 end\n", "\(listener.output)")
    let overlay = try one.json("overlay", "inspect", "mesh")
    #expect(overlay["dropped"]["peer"].integer == 1, "\(overlay)")
    #expect(overlay["dropped"]["source"].integer == 2, "\(overlay)")
    try localUsersAreKeptOut(two, listener) { script($0, inner: "10.64.2.2") + [""] }
  }

  /// Who else has packets leave by a peer's address: its users, and what it translates addresses for.
  private func localUsersAreKeptOut(
    _ peer: TestNode, _ listener: BackgroundCommand, script: (String) -> [String]
  ) throws {
    let container = try peer.host.start(["unshare", "-n", "sh", "-c", "echo $$; exec sleep 1000"])
    defer { container.signal(SIGKILL) }
    try #require(eventually { container.output.hasSuffix("\n") }, "\(container.errors)")
    let box = String(container.output.dropLast())
    let made = try peer.host.run([
      "sh", "-ec",
      """
      box=\(box)
      ip link add c0 type veth peer name c1 netns $box
      ip address add 192.168.77.1/24 dev c0
      ip link set c0 up
      nsenter -t $box -n ip address add 192.168.77.2/24 dev c1
      nsenter -t $box -n ip link set c1 up
      nsenter -t $box -n ip route add default via 192.168.77.1
      sysctl -qw net.ipv4.ip_forward=1
      nft add table ip box
      nft 'add chain ip box out { type nat hook postrouting priority 100; }'
      nft add rule ip box out ip saddr 192.168.77.0/24 masquerade
      """,
    ])
    try #require(made.status == 0, "\(made)")
    func send(_ suffix: String) throws {
      // Where it is refused sending fails for a user (EPERM).
      _ = try peer.host.run(script("user" + suffix), as: .alice)
      _ = try peer.host.run(["nsenter", "-t", box, "-n"] + script("container" + suffix))
      let root = try peer.host.run(script("root" + suffix))
      try #require(root.status == 0, "\(root)")
      #expect(eventually { listener.output.contains("root\(suffix)\n") })
    }
    try send("-1")
    // The control: without these rules both come from the peer.
    try #require(
      try peer.host.run(["nft", "delete", "table", "inet", "slices-carriers"]).status == 0)
    try send("-2")
    #expect(eventually { listener.output.contains("user-2\n") }, "\(listener.output)")
    #expect(eventually { listener.output.contains("container-2\n") }, "\(listener.output)")
    // A start makes them again.
    peer.crashSupervisor()
    try peer.startSupervisor()
    try send("-3")
    for name in ["user", "container"] {
      #expect(!listener.output.contains("\(name)-1"), "\(listener.output)")
      #expect(!listener.output.contains("\(name)-3"), "\(listener.output)")
    }
    _ = try peer.host.run(["ip", "link", "delete", "c0"])
  }

  @Test func encryptionNeedsWireGuard() throws {
    try withTwoNodes { one, two in
      let first = try one.slicectl(
        "overlay", "create", "mesh", "--subnet", Self.subnet, "--part", "10.64.1.0/24",
        "--encrypt")
      let hasWireGuard =
        try one.host.run(["ip", "link", "add", "trial", "type", "wireguard"]).status == 0
      _ = try one.host.run(["ip", "link", "delete", "trial"])
      guard hasWireGuard else {
        // The lab's kernel has it.
        #expect(first.fails(5, "WireGuard"), "\(first)")
        #expect(try one.json("overlay", "list").array?.isEmpty == true)
        return
      }
      try #require(first.status == 0, "\(first)")
      try two.succeed(
        "overlay", "create", "mesh", "--subnet", Self.subnet, "--part", "10.64.2.0/24",
        "--encrypt")
      // The port is anybody's until there is a peer.
      let holder = try one.host.start([
        "python3", "-uc",
        """
        import socket, time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("", 51820))
        print("ready")
        time.sleep(1000)
        """,
      ])
      #expect(eventually { holder.output.contains("ready") }, "\(holder.errors)")
      func key(_ node: TestNode) throws -> String {
        try #require(try node.json("overlay", "inspect", "mesh")["publicKey"].string)
      }
      let bare = try one.slicectl(
        "overlay", "peer", "add", "mesh", Self.address(2), "--part", "10.64.2.0/24")
      #expect(bare.fails(2, "key"), "\(bare)")
      let taken = try one.slicectl(
        "overlay", "peer", "add", "mesh", Self.address(2), "--part", "10.64.2.0/24", "--key",
        try key(two))
      #expect(taken.fails(1, "EADDRINUSE"), "\(taken)")
      #expect(try one.json("overlay", "inspect", "mesh")["peers"].array?.isEmpty == true)
      holder.signal(SIGKILL)
      _ = holder.wait(seconds: 5)
      for (node, number, other) in [(one, 2, two), (two, 1, one)] {
        try node.succeed(
          "overlay", "peer", "add", "mesh", Self.address(number), "--part",
          "10.64.\(number).0/24", "--key", try key(other))
        try node.create("a")
        try node.succeed("overlay", "join", "mesh", "a")
      }
      let capture = try two.host.start([
        "tcpdump", "-n", "-i", "up0", "-l", "--immediate-mode", "udp",
      ])
      #expect(eventually(within: 5) { capture.errors.contains("listening") })
      #expect(try one.ping("10.64.2.2", from: "a"))
      #expect(try two.ping("10.64.1.2", from: "a"))
      // It is what passes between the nodes, and shows no address of the overlay.
      #expect(eventually(within: 5) { capture.output.contains("51820") })
      capture.signal(SIGTERM)
      _ = capture.wait(seconds: 5)
      #expect(!capture.output.contains("10.64."), "\(capture.output)")
      one.crashSupervisor()
      try one.startSupervisor()
      #expect(try one.ping("10.64.2.2", from: "a"))
      for node in [one, two] {
        try node.succeed("destroy", "--force", "a")
        try node.succeed("overlay", "delete", "mesh")
      }
    }
  }

  private static func address(_ node: Int) -> String { "203.0.113.\(node)" }
  private static func address6(_ node: Int) -> String { "2001:db8:113::\(node)" }
  /// A host beside the two nodes.
  private static let stranger = "203.0.113.66"

  private func withTwoNodes(_ body: (TestNode, TestNode) throws -> Void) throws {
    try withNode { one in
      try withNode { two in
        let made = try Command.run([
          "sh", "-ec",
          """
          one() { nsenter -t \(one.host.initProcess) -n "$@"; }
          two() { nsenter -t \(two.host.initProcess) -n "$@"; }
          one ip link add up0 type veth peer name up0 netns \(two.host.initProcess)
          one ip address add \(Self.address(1))/24 dev up0
          two ip address add \(Self.address(2))/24 dev up0
          two ip address add \(Self.stranger)/24 dev up0
          one ip address add \(Self.address6(1))/64 dev up0 nodad
          two ip address add \(Self.address6(2))/64 dev up0 nodad
          one ip link set up0 up
          two ip link set up0 up
          one ip route add default via \(Self.address(2))
          two ip route add default via \(Self.address(1))
          """,
        ])
        try #require(made.status == 0, "\(made)")
        defer { _ = try? one.host.run(["ip", "link", "delete", "up0"]) }
        try body(one, two)
      }
    }
  }
}
