import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// net.mode=shared: slices and their host on one address, each with its ports. How packets are told
/// apart is tried in Tests/ClassifierTests/test_shared.py; here are the grants, and what lasts.
@Suite(.requiresSlices)
struct SharedAddressTests {
  // MARK: - Serving

  @Test func slicesAndHostServeOneAddress() throws {
    try withWorld { node, world in
      try node.createServer("web", port: 20_080)
      try node.createServer("other", port: 20_180)
      let own = try node.host.start(httpd(node, 80))
      defer { own.signal(SIGKILL) }
      for address in [Outside.host4, "[\(Outside.host6)]"] {
        #expect(world.get("http://\(address):20080/") == "this is web\n")
        #expect(world.get("http://\(address):20180/") == "this is other\n")
        #expect(eventually { world.get("http://\(address)/") == "this is the host\n" })
        #expect(world.get("http://\(address):20081/") == nil, "nobody's")
      }
      let shown = try node.inspect("web")["network"]
      #expect(shown["mode"].string == "shared" && shown["ports"].string == "20080-20099")
      #expect(shown["ipv4"].string == Outside.host4 && shown["ipv6"].string == Outside.host6)
      let listed = try node.json("list").array?.first { $0["name"].string == "web" }
      #expect(listed?["ipv4"].string == Outside.host4)
      let net = try node.json("shares", "web").array?.first?["net"]
      #expect(net?["sentBytes"].number ?? 0 > 0 && net?["receivedBytes"].number ?? 0 > 0)
    }
  }

  @Test func slicesReachTheWorldFromTheirPorts() throws {
    try withWorld { node, world in
      try node.create("client", "--set", "net.mode=shared")
      #expect(try node.inspect("client")["settings"]["net.ports"].string == "20000-20063")
      let server = try node.host.start(world.command(httpd(node, 80)))
      defer { server.signal(SIGKILL) }
      for address in [Outside.address4, Outside.address6] {
        #expect(
          try eventually {
            try node.slicectl(
              "exec", "client", "-i", "--", "nc", "-w", "3", address, "80",
              input: "GET / HTTP/1.0\r\n\r\n"
            ).output.hasPrefix("HTTP/1.")
          }, "\(address)")
      }
    }
  }

  // MARK: - Ports

  @Test func aPortOfAnotherIsRefusedAtOnce() throws {
    try withWorld { node, _ in
      for (name, ports) in [("one", "20000-20009"), ("two", "20010-20019,20030")] {
        try node.succeed(
          "create", name, "--set", "net.mode=shared", "--set", "net.ports=\(ports)", "--", "sleep",
          "100000")
      }
      // The errno of bind(2), and the port that was bound.
      func bind(_ slice: String, _ address: String, _ port: Int = 20_005, kind: String = "STREAM")
        throws -> String
      {
        try node.execute(
          slice, "python3", "-c",
          """
          import errno, socket
          s = socket.socket(socket.AF_INET6 if ":" in "\(address)" else socket.AF_INET, socket.SOCK_\(kind))
          try: s.bind(("\(address)", \(port))); print(s.getsockname()[1])
          except OSError as error: print(errno.errorcode[error.errno])
          """)
      }
      for kind in ["STREAM", "DGRAM"] {
        for address in ["0.0.0.0", "::", Outside.host4, Outside.host6] {
          #expect(try bind("one", address, kind: kind) == "20005", "its own, \(address)")
          #expect(try bind("two", address, kind: kind) == "EADDRINUSE", "\(address)")
          #expect(try bind("two", address, 20_020, kind: kind) == "EACCES", "\(address)")
        }
      }
      #expect(try bind("two", "127.0.0.1") == "20005", "loopback is its own")
      #expect(try bind("two", "::1") == "20005")
      let automatic = try #require(Int(try bind("two", "0.0.0.0", 0)))
      #expect((20_010...20_019).contains(automatic) || automatic == 20_030)
      try node.succeed("destroy", "--force", "one")
      #expect(try bind("two", "0.0.0.0") == "EACCES", "nobody's any more")
    }
  }

  @Test func whatCannotBeGrantedIsRefusedWithAReason() throws {
    try withWorld { node, _ in
      try node.create("one", "--set", "net.mode=shared", "--set", "net.ports=20000-20099,443")
      let used = try node.host.start(httpd(node, 8080))
      defer { used.signal(SIGKILL) }
      func refused(
        _ ports: String, _ status: Int32, _ words: String..., as user: TestUser = .root
      ) throws {
        let result = try node.slicectl(
          "create", "two", "--image", "minimal", "--set", "net.mode=shared", "--set",
          "net.ports=\(ports)", "--", "sleep", "100000", as: user)
        #expect(result.status == status && words.allSatisfy(result.errors.contains), "\(result)")
      }
      try refused("20099", 1, "20099", "'one'", "hint")
      try refused("443", 1, "443", "'one'")
      try refused("20050-20150", 1, "another slice", as: .alice)
      #expect(
        try eventually {
          try node.host.run(["sh", "-c", "ss -ltn | grep -q :8080"]).status == 0
        })
      try refused("8080", 1, "TCP port 8080", "in use", "ss -lntup")
      try refused("444", 4, "no right", "444", as: .alice)
      try refused("40000", 4, "by chance", "40000")
      try refused("0", 2, "net.ports")
      try refused("20200,20200", 2, "net.ports")
      let routed = try node.slicectl("create", "two", "--set", "net.ports=20200")
      #expect(routed.fails(2, "net.mode=shared"), "\(routed)")
      try node.create("two", "--set", "net.mode=shared")
      let set = try node.slicectl("set", "two", "net.ports=20070-20199")
      #expect(set.fails(1, "20070", "'one'"), "\(set)")
      #expect(try node.inspect("two")["settings"]["net.ports"].string == "20128-20191")
    }
  }

  @Test func portsChangeWhileASliceRuns() throws {
    try withWorld { node, world in
      try node.createServer("web", port: 20_080)
      #expect(world.get("http://\(Outside.host4):20080/") != nil)
      try node.succeed("set", "web", "net.ports=20100-20119")
      #expect(world.get("http://\(Outside.host4):20080/") == nil, "taken away")
      let busy = try node.slicectl(
        "exec", "web", "--", "timeout", "1", "nc", "-l", "-p", "20090")
      #expect(busy.errors.contains("Permission denied"), "\(busy)")
      try node.create("other", "--set", "net.mode=shared", "--set", "net.ports=20090")
      try node.succeed("destroy", "--force", "other")
      try node.succeed("set", "web", "net.ports=20080-20099")
      #expect(world.get("http://\(Outside.host4):20080/") == "this is web\n", "and given back")
    }
  }

  // MARK: - The host's address

  @Test func withoutAnAddressThereIsNone() throws {
    try withNode { node in
      let refused = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "net.mode=shared")
      #expect(refused.fails(5, "no IPv4 address", "default route"), "\(refused)")
    }
  }

  @Test func slicesFollowTheHostToAnotherAddress() throws {
    try withWorld { node, world in
      try node.createServer("web", port: 20_080)
      #expect(world.get("http://\(Outside.host4):20080/") != nil)
      let moved = try node.host.run([
        "sh", "-ec",
        """
        ip address delete \(Outside.host4)/24 dev up0
        ip address add 203.0.113.9/24 dev up0
        ip route replace default via 203.0.113.1
        """,
      ])
      #expect(moved.status == 0, "\(moved)")
      #expect(eventually(within: 20) { world.get("http://203.0.113.9:20080/") == "this is web\n" })
      #expect(try node.inspect("web")["network"]["ipv4"].string == "203.0.113.9")
      // An uplink that vanishes and comes back, as another link.
      _ = try node.host.run(["ip", "link", "delete", "up0"])
      #expect(eventually(within: 20) { (try? node.inspect("web")["network"]["ipv4"]) == .null })
      #expect(try node.state(of: "web") == "running")
      try world.connect()
      #expect(
        eventually(within: 20) { world.get("http://\(Outside.host4):20080/") == "this is web\n" })
    }
  }

  @Test func slicesWithAddressesOfTheirOwnKeepOffTheirPorts() throws {
    try withWorld { node, world in
      try node.create("sharing", "--set", "net.mode=shared")
      try node.succeed("create", "routed", "--", "sleep", "100000")
      let server = try node.host.start(
        world.command([
          "python3", "-uc",
          """
          import socket
          s = socket.create_server(("", 80))
          while True:
            c, a = s.accept()
            c.sendall(b"%d" % a[1])
            c.close()
          """,
        ]))
      defer { server.signal(SIGKILL) }
      var seen = 0
      #expect(
        try eventually {
          let port = try node.slicectl(
            "exec", "routed", "--", "python3", "-c",
            """
            import socket
            s = socket.socket()
            s.bind(("", 20005))
            s.settimeout(5)
            s.connect(("\(Outside.address4)", 80))
            print(s.recv(9).decode())
            """)
          seen = Int(port.output.dropLast()) ?? 0
          return seen != 0
        })
      #expect(seen >= 30_000, "not as \(seen), which is a port of the other slice's")
    }
  }

  // MARK: - Lasting

  @Test func connectionsOutliveTheSupervisor() throws {
    try withWorld { node, world in
      try node.createServer("web", port: 20_080)
      try node.create(
        "echo", "--set", "net.mode=shared", "--set", "net.ports=20300",
        command: [
          "nc", "-ll", "-p", "20300", "-e", "cat",
        ])
      let talk = try node.host.start(
        world.command([
          "python3", "-uc",
          """
          import socket, time
          s = socket.create_connection(("\(Outside.host4)", 20300), 5)
          while True:
            s.sendall(b"x")
            print(s.recv(1).decode(), end="")
            time.sleep(0.02)
          """,
        ]))
      defer { talk.signal(SIGKILL) }
      func goesOn() -> Bool {
        let before = talk.output.utf8.count
        return eventually { talk.output.utf8.count > before + 2 }
      }
      #expect(goesOn())
      node.crashSupervisor()
      #expect(goesOn())
      #expect(world.get("http://\(Outside.host4):20080/") == "this is web\n")
      try node.startSupervisor()
      #expect(goesOn() && talk.isRunning)
      #expect(world.get("http://\(Outside.host6.bracketed):20080/") == "this is web\n")
      let taken = try node.slicectl(
        "create", "two", "--image", "minimal", "--set", "net.mode=shared", "--set",
        "net.ports=20300")
      #expect(taken.fails(1, "20300", "'echo'"), "\(taken)")
      let bind = try node.slicectl("exec", "web", "--", "timeout", "1", "nc", "-l", "-p", "20300")
      #expect(bind.errors.contains("Address already in use"), "\(bind)")
      try node.succeed("restart", "web")
      #expect(eventually { world.get("http://\(Outside.host4):20080/") == "this is web\n" })
    }
  }

  // MARK: - Sniffing

  @Test func aSliceSniffsOnlyItsOwnUnderLoad() throws {
    try withWorld { node, world in
      try node.create("sniffer", "--set", "net.mode=shared")
      try node.createServer("busy", port: 20_180)
      let pid = try #require(try node.inspect("sniffer")["pid"].integer)
      let sniffer = try node.host.start([
        "nsenter", "-t", "\(pid)", "-n", "python3",
        Host.packageDirectory + "/Tests/ClassifierTests/sniff.py",
      ])
      #expect(eventually { sniffer.output == "ready\n" })
      for _ in 0..<50 { #expect(world.get("http://\(Outside.host4):20180/") != nil) }
      // Its own: what comes to a port of its own.
      sniffer.signal(SIGTERM)
      let seen = sniffer.wait(seconds: 10).output.split(separator: "\n").last.flatMap { Int($0) }
      #expect(seen == 0)
    }
  }
}

// MARK: - The world

private func httpd(_ node: TestNode, _ port: Int) -> [String] {
  ["\(Host.programs)/busybox", "httpd", "-f", "-p", "[::]:\(port)", "-h", node.directory + "/www"]
}

/// A network namespace behind the host's uplink.
private struct Outside {
  static let host4 = "203.0.113.2"
  static let host6 = "2001:db8:113::2"
  static let address4 = "198.51.100.1"
  static let address6 = "2001:db8:51::1"

  let node: TestNode
  let holder: BackgroundCommand
  let pid: String

  init(_ node: TestNode) throws {
    self.node = node
    let holder = try node.host.start(["unshare", "--net", "sh", "-c", "echo $$; exec sleep 3600"])
    guard eventually({ holder.output.hasSuffix("\n") }) else { throw HarnessError("no world") }
    self.holder = holder
    pid = String(holder.output.dropLast())
    try connect()
  }

  /// Makes the host's uplink.
  func connect() throws {
    let made = try node.host.run([
      "sh", "-ec",
      """
      ip link add up0 type veth peer name up1 netns \(pid)
      ip address add \(Self.host4)/24 dev up0
      ip address add \(Self.host6)/64 dev up0 nodad
      ip link set up0 up
      inside() { nsenter -t \(pid) -n "$@"; }
      inside ip link set lo up
      inside ip address replace \(Self.address4)/32 dev lo
      inside ip address replace \(Self.address6)/128 dev lo nodad
      inside ip address add 203.0.113.1/24 dev up1
      inside ip address add 2001:db8:113::1/64 dev up1 nodad
      inside ip link set up1 up
      ip route add default via 203.0.113.1
      ip route add default via 2001:db8:113::1
      mkdir -p \(node.directory)/www
      echo this is the host >\(node.directory)/www/index.html
      """,
    ])
    guard made.status == 0 else { throw HarnessError("world: \(made)") }
  }

  func command(_ arguments: [String]) -> [String] { ["nsenter", "-t", pid, "-n"] + arguments }

  /// What an HTTP server says to somebody in the world; nil: nothing.
  func get(_ url: String) -> String? {
    let result = try? node.host.run(command(["curl", "-gsf", "-m", "3", url]))
    return result?.status == 0 ? result?.output : nil
  }

  func remove() {
    holder.signal(SIGKILL)
    _ = holder.wait(seconds: 5)
    _ = try? node.host.run(["ip", "link", "delete", "up0"])
  }
}

private func withWorld(_ body: (TestNode, Outside) throws -> Void) throws {
  try withNode { node in
    let world = try Outside(node)
    defer { world.remove() }
    try body(node, world)
  }
}

extension String {
  fileprivate var bracketed: String { "[\(self)]" }
}

extension TestNode {
  /// A slice with 20 ports from this one, at which it serves HTTP.
  fileprivate func createServer(_ name: String, port: Int) throws {
    try create(
      name, "--set", "net.mode=shared", "--set", "net.ports=\(port)-\(port + 19)",
      command: [
        "sh", "-c",
        "mkdir -p /tmp/www && echo this is \(name) >/tmp/www/index.html && exec httpd -f -p '[::]:\(port)' -h /tmp/www",
      ])
    guard
      try eventually(
        within: 20,
        { try shell(name, "netstat -ltn | grep -c :\(port) || true") != "0" })
    else { throw HarnessError("\(name) does not serve") }
  }
}
