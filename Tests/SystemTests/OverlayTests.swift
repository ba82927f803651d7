import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Networks of slices' own on one node: who reaches whom, and what keeps the others out.
@Suite(.serialized, .requiresSlices) struct OverlayTests {
  private static let subnet = "10.64.0.0/16"

  // MARK: - One node

  @Test func membersAloneReachEachOther() throws {
    try withNode { node in
      try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet)
      try node.succeed("overlay", "create", "other", "--subnet", "10.65.0.0/16")
      for name in ["a", "b", "c", "x"] { try node.create(name) }
      // One that doesn't run gets its link when it does.
      try node.succeed("stop", "b")
      #expect(try node.json("overlay", "join", "mesh", "a")["address"].string == "10.64.0.2")
      try node.succeed("overlay", "join", "mesh", "b", "--address", "10.64.9.9")
      #expect(try node.json("overlay", "join", "other", "c")["address"].string == "10.65.0.2")
      try node.succeed("start", "b")

      let shown = try node.inspect("b")["network"]["overlays"].array
      #expect(shown?.first?["ipv4"].string == "10.64.9.9", "\(shown ?? [])")
      #expect(try node.hears("b", at: "10.64.9.9", from: "a", as: "10.64.0.2"))
      #expect(try node.hears("a", at: "10.64.0.2", from: "b", as: "10.64.9.9"))
      for outsider in ["c", "x"] {
        #expect(try !node.hears("b", at: "10.64.9.9", from: outsider, as: nil, within: 1.5))
      }
      // Nor does the host know a way.
      #expect(try node.host.run(["ping", "-n", "-c", "1", "-W", "1", "10.64.9.9"]).status != 0)
      // The overlay's own end answers pings, and has nothing that listens.
      #expect(try node.ping("10.64.0.1", from: "a"))

      try node.succeed("overlay", "leave", "mesh", "a")
      #expect(try !node.hears("b", at: "10.64.9.9", from: "a", as: nil, within: 1.5))
      try node.succeed("overlay", "join", "mesh", "a", "--address", "10.64.0.77")
      #expect(try node.hears("b", at: "10.64.9.9", from: "a", as: "10.64.0.77"))
      // A new run has the same.
      try node.succeed("restart", "a")
      #expect(try node.hears("b", at: "10.64.9.9", from: "a", as: "10.64.0.77"))

      let full = try node.slicectl("overlay", "delete", "mesh")
      #expect(full.fails(1, "mesh", "has members", "a, b"), "\(full)")
      try node.succeed("destroy", "--force", "a", "b")
      #expect(try node.json("overlay", "inspect", "mesh")["members"].array?.isEmpty == true)
      try node.succeed("overlay", "delete", "mesh")
      try node.succeed("overlay", "leave", "other", "c")
      try node.succeed("overlay", "delete", "other")
      #expect(try node.json("overlay", "list").array?.isEmpty == true)
    }
  }

  @Test func overlaysOutliveTheSupervisor() throws {
    try withNode { node in
      try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet)
      for name in ["a", "b"] {
        try node.create(name)
        try node.succeed("overlay", "join", "mesh", name)
      }
      node.crashSupervisor()
      // Without a supervisor all goes on.
      let ping = try node.host.run([
        "nsenter", "-t", "\(try #require(node.pidBelow("sleep")))", "-n", "ping", "-n", "-c", "1",
        "-W", "2", "10.64.0.1",
      ])
      #expect(ping.status == 0, "\(ping)")
      try node.startSupervisor()
      #expect(try node.hears("b", at: "10.64.0.3", from: "a", as: "10.64.0.2"))
      let members = try node.json("overlay", "inspect", "mesh")["members"].array
      #expect(members?.count == 2)
      // Taken over, not built anew: what was dropped before isn't known any more, the link is.
      #expect(members?.first?["carried"]["sentPackets"].integer ?? 0 >= 2)

      // As crashes leave it: a file without a namespace, and a record whose namespace is not there, with
      // slices that run.
      node.stopSupervisor()
      let place = node.runtime + "/overlays/"
      try HostFiles.write("", to: place + "orphan")
      let gone = try node.host.run(["sh", "-c", "umount '\(place)mesh' && rm '\(place)mesh'"])
      try #require(gone.status == 0, "\(gone)")
      try node.startSupervisor()
      #expect(!HostFiles.exists(place + "orphan"))
      #expect(try node.hears("b", at: "10.64.0.3", from: "a", as: "10.64.0.2"))
      // What can't be taken over of one member is no loss of the others.
      let record = node.state + "/overlays/mesh.json"
      func restart(_ change: (String) -> String) throws -> String? {
        node.stopSupervisor()
        try HostFiles.write(change(HostFiles.text(record)), to: record)
        try node.startSupervisor()
        return try node.json("overlay", "inspect", "mesh")["problem"].string
      }
      let problem = try restart { $0.replacing("10.64.0.3", with: "10.64.0.x") }
      #expect(problem?.contains("member b") == true, "\(problem ?? "none")")
      #expect(try node.ping("10.64.0.1", from: "a"))
      #expect(try restart { $0.replacing("10.64.0.x", with: "10.64.0.3") } == nil)
      #expect(try node.hears("b", at: "10.64.0.3", from: "a", as: "10.64.0.2"))
      // A member that was destroyed while nobody looked is none any more.
      node.stopSupervisor()
      try HostFiles.write(
        HostFiles.text(record).replacing("\"a\"", with: "\"gone\""), to: record)
      try node.startSupervisor()
      let left = try node.json("overlay", "inspect", "mesh")["members"].array
      #expect(left?.compactMap { $0["slice"].string } == ["b"], "\(left ?? [])")
      #expect(try !node.hears("b", at: "10.64.0.3", from: "a", as: nil, within: 1.5))
      // A record that can't be read stops the start: guessing would delete an overlay.
      node.stopSupervisor()
      let text = HostFiles.text(record)
      try HostFiles.write("{", to: record)
      #expect(throws: HarnessError.self) { try node.startSupervisor() }
      try HostFiles.write(text, to: record)
      try node.startSupervisor()
      try node.succeed("destroy", "--force", "a", "b")
      try node.succeed("overlay", "delete", "mesh")
    }
  }

  @Test func forgedSourcesAreDropped() throws {
    try withNode { node in
      try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet)
      for name in ["a", "b", "c"] {
        try node.create(name)
        try node.succeed("overlay", "join", "mesh", name)
      }
      let listener = try node.listen(in: "b", at: "10.64.0.3")
      defer { listener.signal(SIGKILL) }
      // Sent past everything that the slice's own kernel checks, as with CAP_NET_RAW.
      func send(
        _ text: String, source: String, destination: String = "10.64.0.3",
        mac: String = "026f0a400002", kind: Int = 0x800, protocolNumber: Int = 17
      ) throws {
        let script = """
          import socket, struct, sys
          def sum16(b):
              s = sum(struct.unpack('!%dH' % (len(b) // 2), b))
              s = (s >> 16) + (s & 0xffff)
              return ~(s + (s >> 16)) & 0xffff
          data = sys.argv[1].encode()
          udp = struct.pack('!4H', 40000, 7000, 8 + len(data), 0) + data
          head = struct.pack('!2B3H2BH', 0x45, 0, 20 + len(udp), 1, 0, 64, int(sys.argv[6]), 0) \\
              + socket.inet_aton(sys.argv[2]) + socket.inet_aton(sys.argv[3])
          head = head[:10] + struct.pack('!H', sum16(head)) + head[12:]
          s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
          s.bind(('mesh', 0))
          s.send(bytes.fromhex('02736f000001') + bytes.fromhex(sys.argv[4])
              + struct.pack('!H', int(sys.argv[5])) + head + udp)
          """
        let result = try node.host.run([
          "nsenter", "-t", try node.pid("a"), "-n", "python3", "-c", script, text, source,
          destination, mac, "\(kind)", "\(protocolNumber)",
        ])
        try #require(result.status == 0, "\(result)")
      }
      try send("control", source: "10.64.0.2")
      #expect(eventually(within: 5) { listener.output.contains("10.64.0.2 control") })
      try send("as-c", source: "10.64.0.4")
      try send("as-b", source: "10.64.0.3")
      try send("as-gateway", source: "10.64.0.1")
      try send("as-host", source: "172.31.128.1")
      try send("mac", source: "10.64.0.2", mac: "026f0a400004")
      try send("arp", source: "10.64.0.2", kind: 0x806)
      try send("gre", source: "10.64.0.2", protocolNumber: 47)
      try send("gateway", source: "10.64.0.2", destination: "10.64.0.1")
      try send("outside", source: "10.64.0.2", destination: "172.31.128.3")
      try send("end", source: "10.64.0.2")
      #expect(eventually(within: 5) { listener.output.contains("10.64.0.2 end") })
      #expect(
        listener.output == "ready\n10.64.0.2 control\n10.64.0.2 end\n", "\(listener.output)")
      let member = try #require(
        try node.json("overlay", "inspect", "mesh")["members"].array?.first {
          $0["slice"].string == "a"
        })
      #expect(member["dropped"]["source"].integer == 4, "\(member)")
      #expect(member["dropped"]["frame"].integer ?? 0 >= 2, "\(member)")
      #expect(member["dropped"]["protocol"].integer == 1, "\(member)")
      #expect(member["dropped"]["destination"].integer == 2, "\(member)")
      try node.succeed("destroy", "--force", "a", "b", "c")
      try node.succeed("overlay", "delete", "mesh")
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    try withNode { node in
      func create(_ name: String, _ arguments: String...) throws -> CommandResult {
        try node.slicectl(["overlay", "create", name] + arguments)
      }
      for name in ["Mesh", "eth0", "lo", "default", "../x", "a-name-too-long"] {
        #expect(try create(name, "--subnet", Self.subnet).fails(2, "name"), "\(name)")
      }
      for subnet in [
        "10.64.0.1/16", "8.8.8.0/24", "10.64.0.0", "224.0.0.0/8", "10.64.0.0/31", "x",
      ] {
        #expect(try create("mesh", "--subnet", subnet).status == 2, "\(subnet)")
      }
      let pool = try create("mesh", "--subnet", "172.31.128.0/24")
      #expect(pool.fails(2, "overlaps", "172.31.128.0/17"), "\(pool)")
      #expect(try create("mesh", "--subnet", Self.subnet, "--port", "4790").fails(2, "4789"))
      let part = try create("mesh", "--subnet", Self.subnet, "--part", "10.65.0.0/24")
      #expect(part.fails(2, "10.65.0.0/24", "not in the subnet"), "\(part)")
      #expect(HostFiles.list(node.runtime + "/overlays").isEmpty)

      try node.succeed(
        "overlay", "create", "mesh", "--subnet", Self.subnet, "--part", "10.64.1.0/29")
      #expect(try create("mesh", "--subnet", Self.subnet).fails(1, "exists already"))
      try node.create("a")
      for address in ["10.64.1.0", "10.64.1.1", "10.64.1.7", "10.64.2.2", "x"] {
        let result = try node.slicectl("overlay", "join", "mesh", "a", "--address", address)
        #expect(result.status == 2, "\(address): \(result)")
      }
      try node.succeed("overlay", "join", "mesh", "a")
      #expect(try node.slicectl("overlay", "join", "mesh", "a").fails(1, "already"))
      try node.create("b")
      let taken = try node.slicectl("overlay", "join", "mesh", "b", "--address", "10.64.1.2")
      #expect(taken.fails(1, "belongs to another slice"), "\(taken)")
      #expect(try node.slicectl("overlay", "join", "none", "b").fails(1, "no overlay 'none'"))

      for (host, part, status) in [
        ("192.0.2.7", "10.64.1.0/24", 1), ("192.0.2.7", "10.65.0.0/24", 2),
        ("127.0.0.1", "10.64.2.0/24", 2), ("node.example", "10.64.2.0/24", 2),
      ] {
        let result = try node.slicectl("overlay", "peer", "add", "mesh", host, "--part", part)
        #expect(result.status == Int32(status), "\(host) \(part): \(result)")
      }
      try node.succeed("destroy", "--force", "a", "b")
      try node.succeed("overlay", "delete", "mesh")
    }
  }

  @Test func ownersHaveTheirOwn() throws {
    try withNode(.init(policy: "[owners.\"*\"]\noverlays = 1\n")) { node in
      func run(_ user: TestUser, _ arguments: String...) throws -> CommandResult {
        try node.slicectl(arguments, as: user)
      }
      for (name, user) in [("a", TestUser.alice), ("b", .bob)] {
        let made = try node.slicectl(
          ["create", name, "--image", "minimal", "--", "sleep", "1000"], as: user)
        try #require(made.status == 0, "\(made)")
      }
      #expect(try run(.alice, "overlay", "create", "mesh", "--subnet", Self.subnet).status == 0)
      let second = try run(.alice, "overlay", "create", "more", "--subnet", "10.65.0.0/16")
      #expect(second.fails(4, "1 overlays"), "\(second)")
      #expect(try run(.alice, "overlay", "join", "mesh", "a").status == 0)
      // Neither another's slice into one's own overlay, nor one's own into another's.
      #expect(try run(.alice, "overlay", "join", "mesh", "b").fails(4, "belongs to another"))
      #expect(try run(.bob, "overlay", "join", "mesh", "b").fails(4, "belongs to another"))
      for verb in ["inspect", "delete"] {
        #expect(try run(.bob, "overlay", verb, "mesh").fails(4, "belongs to another"))
      }
      #expect(try run(.bob, "overlay", "leave", "mesh", "a").fails(4, "belongs to another"))
      #expect(try node.json("overlay", "list", as: .bob).array?.isEmpty == true)
      // What goes to a peer goes in the node's name.
      let peer = try run(
        .alice, "overlay", "peer", "add", "mesh", "192.0.2.7", "--part", "10.64.2.0/24")
      #expect(peer.status == 4, "\(peer)")
      try node.succeed("destroy", "--force", "a", "b")
      try node.succeed("overlay", "delete", "mesh")
    }
  }
}

extension TestNode {
  /// Of a slice's first process, in the private host.
  func pid(_ slice: String) throws -> String {
    "\(Int(try #require(try inspect(slice)["pid"].integer)))"
  }

  /// A process of some slice, while no supervisor tells.
  func pidBelow(_ command: String) -> pid_t? {
    ProcessTable.pids(proc: host.proc).first { pid in
      HostFiles.text("\(host.proc)/\(pid)/comm") == "\(command)\n"
        && HostFiles.text("\(host.proc)/\(pid)/cmdline").contains("100000")
    }
  }

  func ping(_ address: String, from slice: String) throws -> Bool {
    try host.run([
      "nsenter", "-t", try pid(slice), "-n", "ping", "-n", "-c", "1", "-W", "1", address,
    ]).status == 0
  }

  /// A program that prints who sends what to UDP port 7000 of a slice.
  func listen(in slice: String, at address: String) throws -> BackgroundCommand {
    let command = try host.start([
      "nsenter", "-t", try pid(slice), "-n", "python3", "-uc",
      """
      import socket, sys
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      s.bind((sys.argv[1], 7000))
      print('ready')
      while True:
          data, sender = s.recvfrom(65536)
          print(sender[0], data.decode())
      """, address,
    ])
    try #require(eventually(within: 10) { command.output.contains("ready") }, "\(command.errors)")
    return command
  }

  func send(
    _ text: String, from slice: String, to address: String
  ) throws -> CommandResult {
    try host.run([
      "nsenter", "-t", try pid(slice), "-n", "python3", "-c",
      """
      import socket, sys
      socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), (sys.argv[2], 7000))
      """, text, address,
    ])
  }

  /// Whether what one slice sends comes to another; `source`: from whom; nil: from anybody.
  func hears(
    _ receiver: String, at address: String, from sender: String, as source: String?,
    within seconds: Double = 5
  ) throws -> Bool {
    let listener = try listen(in: receiver, at: address)
    defer { listener.signal(SIGKILL) }
    // Where there is no way, sending fails.
    _ = try send("hello", from: sender, to: address)
    return eventually(within: seconds) {
      listener.output.contains("\(source.map { $0 + " " } ?? " ")hello\n")
    }
  }
}
