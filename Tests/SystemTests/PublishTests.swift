import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Ports of the host that lead to slices. What the packets of each way look like is tested by
/// Tests/NetlinkTests and Tests/ClassifierTests.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct PublishTests {
  // MARK: - Reaching

  /// The service says with which address each client came.
  @Test func aPublishedPortIsReachedFromEverywhere() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80/tcp,5353:53/udp", as: .alice)
      try node.createSeer("friend", as: .alice)
      try node.createSeer("stranger", as: .bob)
      let (web, stranger) = (try node.place("web"), try node.place("stranger"))
      let friend = try node.place("friend")
      for (ask, who, target, seen) in [
        // The world keeps its address, and so do other slices.
        (sites.asks(.peer), "the peer", Sites.host4, Sites.peer4),
        (sites.asks(.peer), "the peer", Sites.host6, Sites.peer6),
        (sites.asks(.near), "the router", Sites.host4, Sites.near4),
        (node.asks("stranger"), "another's slice", Sites.host4, stranger.v4),
        (node.asks("stranger"), "another's slice", Sites.host6, stranger.v6),
        (node.asks("stranger"), "another's slice", "172.31.128.1", stranger.v4),
        (node.asks("friend"), "a slice of the same owner", Sites.host4, friend.v4),
        // The slice itself would take its own address for a forgery.
        (node.asks("web"), "the slice itself", Sites.host4, "172.31.128.1"),
        (node.asks("web"), "the slice itself", Sites.host6, "fd73:6c69:6365::1"),
        (node.hostAsks, "the host", Sites.host4, Sites.host4),
        (node.hostAsks, "the host", Sites.host6, Sites.host6),
        (node.hostAsks, "the host", "127.0.0.1", "172.31.128.1"),
        (node.hostAsks, "the host", "localhost", "172.31.128.1"),
      ] {
        #expect(try ask("tcp", target, 8080) == seen, "\(who) at \(target), TCP")
        guard target != "localhost" else { continue }
        #expect(try ask("udp", target, 5353) == seen, "\(who) at \(target), UDP")
      }
      // At the slice's own address, slices reach what it publishes and no more.
      for address in [web.v4, web.v6] {
        #expect(try node.asks("stranger")("tcp", address, 80) != nil)
        #expect(try node.asks("stranger")("tcp", address, 8080) == nil)
      }
      #expect(try node.asks("web")("tcp", stranger.v4, 80) == nil)
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8081) == nil)
    }
  }

  @Test func aClientOfAPrivateNetworkIsAnsweredThoughTheSliceMayNotGoThere() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80/tcp,5353:53/udp")
      for (own, target) in [(Sites.private4, Sites.host4), (Sites.private6, Sites.host6)] {
        let ask = sites.asks(.peer, from: own)
        #expect(try ask("tcp", target, 8080) == own)
        #expect(try ask("udp", target, 5353) == own)
        #expect(try node.asks("web")("tcp", own, 22) == nil)
        let reason = try node.inspect("web")["network"]["drops"]["sent"]["site"]["packets"]
        #expect(reason.integer ?? 0 > 0, "it may not begin itself")
      }
    }
  }

  // MARK: - Changing

  @Test func portsComeAndGoWhileItRuns() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80/tcp")
      let ask = sites.asks(.peer)
      let pid = try node.inspect("web")["pid"]
      try node.succeed("set", "web", "net.publish=8081:80/tcp,8080:81/tcp")
      #expect(try ask("tcp", Sites.host4, 8081) == Sites.peer4)
      #expect(try ask("tcp", Sites.host4, 8080) == nil, "leads to another port")
      try node.succeed("set", "web", "net.publish=8080:80/tcp")
      #expect(try ask("tcp", Sites.host4, 8080) == Sites.peer4)
      #expect(try ask("tcp", Sites.host4, 8081) == nil)

      // All or nothing.
      let taken = try node.hostListens(9000)
      defer { taken.signal(SIGKILL) }
      let refused = try node.slicectl(
        "set", "web", "net.publish=8082:80/tcp,9000:80/tcp", "pids.max=77")
      #expect(refused.fails(1, "9000/tcp", "in use", "hint"), "\(refused)")
      #expect(try ask("tcp", Sites.host4, 8080) == Sites.peer4)
      #expect(try ask("tcp", Sites.host4, 8082) == nil)
      let after = try node.inspect("web")
      #expect(after["settings"]["net.publish"].string == "8080:80/tcp")
      #expect(after["settings"]["pids.max"] == .null)
      #expect(after["pid"] == pid)

      try node.succeed("set", "web", "net.publish=")
      #expect(try ask("tcp", Sites.host4, 8080) == nil)
      #expect(try node.json("list").array?.first?["publish"] == .array([]))
      #expect(try !node.table().contains("elements"))
    }
  }

  /// A connection to a port that is withdrawn ends, others go on.
  @Test func whatWentToAWithdrawnPortEnds() throws {
    try withSites { node, sites in
      try node.succeed(
        "create", "web", "--image", "minimal", "--set", "net.publish=8080:80/tcp,8081:81/tcp",
        "--", "sh", "-c", "nc -ll -p 80 -e cat & exec nc -ll -p 81 -e cat")
      let (gone, kept) = (try Talk(sites, 8080), try Talk(sites, 8081))
      #expect(gone.says("one") && kept.says("one"))
      try node.succeed("set", "web", "net.publish=8081:81/tcp")
      #expect(kept.says("two"))
      #expect(!gone.says("two"))
    }
  }

  // MARK: - Who has a port

  @Test func aPortOfTheHostHasOneOwner() throws {
    try withNode { node in
      func create(_ name: String, _ port: String, as user: TestUser) throws -> CommandResult {
        try node.slicectl(
          "create", name, "--image", "minimal", "--set", "net.publish=\(port)", "--no-start",
          as: user)
      }
      #expect(try create("first", "8000-8010:8000-8010/tcp", as: .alice).status == 0)
      let own = try create("second", "8005:80", as: .alice)
      #expect(own.fails(1, "port 8005/tcp of the host belongs to slice 'first'", "hint"), "\(own)")
      let others = try create("second", "8005:80", as: .bob)
      #expect(others.fails(1, "8005/tcp", "belongs to another slice"), "\(others)")
      #expect(!others.errors.contains("first"), "bob may not see it")
      let roots = try create("second", "8005:80", as: .root)
      #expect(roots.fails(1, "slice 'first'"), "\(roots)")
      #expect(try create("second", "8005:80/udp", as: .bob).status == 0, "UDP is another port")

      let change = try node.slicectl("set", "second", "net.publish=8005:80/udp,8010:1", as: .bob)
      #expect(change.fails(1, "8010/tcp", "another slice"), "\(change)")
      // What was tried and what was given up is free again.
      #expect(try create("third", "8011:80", as: .alice).status == 0)
      try node.succeed("set", "first", "net.publish=8001:1", as: .alice)
      try node.succeed("set", "second", "net.publish=8005:80/udp,8010:1", as: .bob)
      try node.succeed("destroy", "first", as: .alice)
      #expect(try create("fourth", "8001:80", as: .bob).status == 0)
    }
  }

  @Test func aPortThatTheHostUsesIsRefusedAndOneOfASliceIsHeld() throws {
    try withNode { node in
      let server = try node.hostListens(8080)
      let refused = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "net.publish=8080:80")
      #expect(refused.fails(1, "8080/tcp of the host", "in use", "ss -anp"), "\(refused)")
      #expect(try node.json("list") == .array([]))
      server.signal(SIGKILL)
      _ = server.wait(seconds: 5)

      try node.create("web", "--set", "net.publish=8080:80,5353:53/udp")
      for (kind, port) in [("tcp", 8080), ("udp", 5353)] {
        for address in ["0.0.0.0", "127.0.0.1", "::", "::1"] {
          #expect(try !node.hostBinds(kind, address, port), "\(address) \(port)/\(kind)")
        }
      }
      #expect(try node.hostBinds("udp", "0.0.0.0", 8080), "the control")
      try node.succeed("stop", "--timeout", "0", "web")
      #expect(try node.hostBinds("tcp", "0.0.0.0", 8080))
      try node.succeed("start", "web")
      #expect(try !node.hostBinds("tcp", "0.0.0.0", 8080))
    }
  }

  @Test func lowPortsNeedARule() throws {
    let policy = """
      [owners.4243]
      ports = ["80/tcp", "8000-8999"]
      """
    try withNode(.init(policy: policy)) { node in
      func create(_ port: String, as user: TestUser) throws -> CommandResult {
        let result = try node.slicectl(
          "create", "web", "--image", "minimal", "--set", "net.publish=\(port)", as: user)
        if result.status == 0 { try node.succeed("destroy", "--force", "web", as: user) }
        return result
      }
      let refused = try create("80:80", as: .alice)
      #expect(refused.fails(4, "80/tcp", "you may publish: 1024-65535"), "\(refused)")
      #expect(try create("1024:80", as: .alice).status == 0)
      #expect(try create("80:80", as: .bob).status == 0)
      #expect(try create("9000:80", as: .bob).fails(4, "9000/tcp", "80/tcp, 8000-8999"))
      #expect(try create("80:80/udp", as: .bob).fails(4, "80/udp"))
      #expect(try create("443:80", as: .root).status == 0)
      try node.succeed(
        "create", "web", "--image", "minimal", "--set", "net.publish=8000:80", as: .bob)
      #expect(
        try node.slicectl("set", "web", "net.publish=81:80", as: .bob).fails(4, "81/tcp", "hint"))
      #expect(
        try node.json("offers", as: .bob)["ports"]
          == .array([.string("80/tcp"), .string("8000-8999")]))
    }
  }

  // MARK: - Bad input

  @Test func whatCannotBePublishedIsRefused() throws {
    try withNode { node in
      for (text, words) in [
        ("80", "missing"), ("0:80", "'0' is not a port"), ("99999:1", "'99999'"),
        ("8080:80/sctp", "neither tcp nor udp"), ("8080:80,8080:81", "twice"),
        ("8010-8000:1-11", "ends before it begins"),
      ] {
        let result = try node.slicectl(
          "create", "web", "--image", "minimal", "--set", "net.publish=\(text)")
        #expect(result.fails(2, "net.publish", words, "hint"), "\(text): \(result)")
      }
      let none = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "net.mode=none", "--set",
        "net.publish=8080:80")
      #expect(none.fails(2, "net.mode=routed"), "\(none)")
      #expect(try node.json("list") == .array([]))
    }
  }

  /// A kernel without nf_tables: no netlink socket of netfilter's.
  @Test(.requiresProgram("/usr/bin/cc")) func withoutTranslationThereIsNoPublishing() throws {
    let without = "/tmp/slices-without-nft.\(getpid())"
    let built = try Command.run([
      "cc", "-o", without, Host.packageDirectory + "/Tests/Probes/without.c",
    ])
    defer { unlink(without) }
    try #require(built.status == 0, "\(built)")
    var options = TestNode.Options(allowUnenforced: false)
    options.wrapper = [without, "41:2=12"]  // socket, on x86-64, of protocol NETLINK_NETFILTER
    try withNode(options) { node in
      let refused = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "net.publish=8080:80")
      #expect(refused.fails(5, "net.publish", "netlink", "hint"), "\(refused)")
      try node.create("plain")
      let change = try node.slicectl("set", "plain", "net.publish=8080:80")
      #expect(change.fails(5, "net.publish"), "\(change)")
      try node.create("web", "--allow-unenforced", "--set", "net.publish=8080:80")
      #expect(try node.inspect("web")["unenforced"] == .array([.string("net.publish")]))
      #expect(
        try node.inspect("web")["network"]["publish"].array?.first?["published"] == .bool(false))
    }
  }

  // MARK: - Recovery

  @Test func connectionsAndPortsOutliveTheSupervisor() throws {
    try withSites { node, sites in
      try node.succeed(
        "create", "web", "--image", "minimal", "--set", "net.publish=8080:80/tcp", "--", "nc",
        "-ll", "-p", "80", "-e", "cat")
      let talk = try Talk(sites, 8080)
      #expect(talk.says("one"))
      node.crashSupervisor()
      #expect(talk.says("two"), "without a supervisor too")
      try node.startSupervisor()
      #expect(talk.says("three"))
      #expect(try Talk(sites, 8080).says("one"), "a new connection")
      #expect(try !node.hostBinds("tcp", "127.0.0.1", 8080), "it is held again")
      #expect(
        try node.slicectl("create", "other", "--image", "minimal", "--set", "net.publish=8080:1")
          .fails(1, "slice 'web'"))
    }
  }

  @Test func aPortThatSomebodyTookMeanwhileIsLostAndTheSliceGoesOn() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80,8081:80")
      node.crashSupervisor()
      let thief = try node.hostListens(8080)
      defer { thief.signal(SIGKILL) }
      try node.startSupervisor()
      #expect(try node.state(of: "web") == "running")
      let events = try node.json("events").array ?? []
      let lost = try #require(events.first { $0["kind"].string == "port-lost" })
      #expect(lost["details"]["port"].string == "8080:80/tcp", "\(lost)")
      let ports = try node.inspect("web")["network"]["publish"].array ?? []
      #expect(ports.map { $0["published"] } == [.bool(false), .bool(true)])
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8081) == Sites.peer4)
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8080) != Sites.peer4)
      // Once it is free again the slice gets it by a restart.
      thief.signal(SIGKILL)
      _ = thief.wait(seconds: 5)
      try node.succeed("restart", "--timeout", "0", "web")
      #expect(
        try eventually(within: 20) {
          try sites.asks(.peer)("tcp", Sites.host4, 8080) == Sites.peer4
        })
    }
  }

  @Test func aFlushedRulesetIsMadeAgain() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80")
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8080) == Sites.peer4)
      #expect(try node.host.run(["nft", "flush", "ruleset"]).status == 0)
      // It is missed within seconds, and how long that took nobody can know here.
      #expect(try eventually(within: 20) { try node.table().contains("elements") })
      #expect(try node.succeed("events").contains("translation-lost"))
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8080) == Sites.peer4)
    }
  }

  @Test func theEndOfASliceWithdrawsItsPorts() throws {
    try withSites { node, sites in
      try node.createSeer("web", "8080:80")
      // Its service's end is the slice's, and may be this command's before it has returned.
      let killed = try node.slicectl("exec", "web", "--", "sh", "-c", "kill -9 -1; true")
      #expect([0, 137].contains(killed.status), "\(killed)")
      try node.succeed("stop", "--timeout", "0", "web")
      #expect(try !node.table().contains("elements"))
      // Whoever gets its address next is not reached.
      try node.succeed("destroy", "web")
      try node.createSeer("next")
      #expect(try sites.asks(.peer)("tcp", Sites.host4, 8080) == nil)
    }
  }
}

// MARK: - Asking

/// Tells with which address one is seen; nil: no answer.
private typealias Ask = (_ transport: String, _ address: String, _ port: Int) throws -> String?

/// Asks a `seer`. Arguments: tcp or udp, address, port, and maybe an address to come from.
private let asker = """
  import socket, sys
  kind, target, port, *own = sys.argv[1:]
  kind = socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM
  for family, kind, protocol, _, place in socket.getaddrinfo(target, int(port), type=kind):
      with socket.socket(family, kind, protocol) as s:
          try:
              s.settimeout(2)
              if own: s.bind((own[0], 0))
              s.connect(place)
              s.send(b"?")
              print(s.recv(100).decode(), end="")
              break
          except OSError:
              pass
  """

extension TestNode {
  /// A slice that tells who asks, at port 80 by TCP and at port 53 by UDP.
  fileprivate func createSeer(
    _ name: String, _ ports: String? = nil, as user: TestUser = .root
  ) throws {
    let program = """
      import os, socket
      for family in socket.AF_INET, socket.AF_INET6:
          for kind, port in (socket.SOCK_STREAM, 80), (socket.SOCK_DGRAM, 53):
              if os.fork(): continue
              s = socket.socket(family, kind)
              s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
              if family == socket.AF_INET6: s.setsockopt(41, 26, 1)
              s.bind(("", port))
              if kind == socket.SOCK_STREAM: s.listen(64)
              print("ready", flush=True)
              while True:
                  if kind == socket.SOCK_STREAM:
                      with s.accept()[0] as c: c.send(c.getpeername()[0].encode())
                  else:
                      peer = s.recvfrom(100)[1]
                      s.sendto(peer[0].encode(), peer)
      os.wait()
      """
    let result = try slicectl(
      ["create", name, "--image", "host"]
        + (ports.map { ["--set", "net.publish=\($0)"] } ?? [])
        + ["--", "python3", "-c", program], as: user)
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
    let ready = try eventually(within: 20) {
      try slicectl("logs", name).output.split(separator: "\n").count { $0 == "ready" } == 4
    }
    guard ready else { throw HarnessError("\(name) does not serve: \(try slicectl("logs", name))") }
  }

  fileprivate func place(_ name: String) throws -> (v4: String, v6: String) {
    let network = try json("inspect", name)["network"]
    return (try #require(network["ipv4"].string), try #require(network["ipv6"].string))
  }

  fileprivate func asks(_ slice: String) -> Ask {
    { [self] transport, address, port in
      answer(
        try slicectl(
          ["exec", slice, "--", "python3", "-c", asker, transport, address, "\(port)"]))
    }
  }

  fileprivate func hostAsks(_ transport: String, _ address: String, _ port: Int) throws -> String? {
    answer(try host.run(["python3", "-c", asker, transport, address, "\(port)"]))
  }

  /// A program of the host's that has a TCP port.
  fileprivate func hostListens(_ port: Int) throws -> BackgroundCommand {
    let program = """
      import socket, time
      s = socket.create_server(("", \(port)))
      print("ready", flush=True)
      time.sleep(1000)
      """
    let command = try host.start(["python3", "-c", program])
    guard eventually({ command.output == "ready\n" }) else { throw HarnessError("\(port)") }
    return command
  }

  fileprivate func hostBinds(_ transport: String, _ address: String, _ port: Int) throws -> Bool {
    let program = """
      import socket
      s = socket.socket(socket.AF_INET\(address.contains(":") ? "6" : ""), \
      socket.SOCK_\(transport == "tcp" ? "STREAM" : "DGRAM"))
      s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      s.bind(("\(address)", \(port)))
      """
    return try host.run(["python3", "-c", program]).status == 0
  }

  /// The table of translations.
  fileprivate func table() throws -> String {
    try host.run(["nft", "list", "table", "inet", "slices"]).output
  }
}

extension Sites {
  fileprivate func asks(_ place: Place, from own: String? = nil) -> Ask {
    { [self] transport, address, port in
      answer(
        try node.host.run(
          command(
            place,
            ["python3", "-c", asker, transport, address, "\(port)"] + (own.map { [$0] } ?? []))))
    }
  }
}

private func answer(_ result: CommandResult) -> String? {
  result.status == 0 && !result.output.isEmpty ? result.output : nil
}

/// A TCP connection of the peer's to a port of the host, where what is said comes back.
private final class Talk {
  private let client: BackgroundCommand
  private let words: String
  private let sites: Sites

  init(_ sites: Sites, _ port: Int) throws {
    self.sites = sites
    words = "\(sites.node.directory)/words.\(port).\(Int.random(in: 0...Int.max))"
    let program = """
      import os, socket, sys
      os.mkfifo(sys.argv[1])
      with socket.create_connection(("\(Sites.host4)", \(port)), timeout=10) as s:
          s.settimeout(3)
          while True:
              with open(sys.argv[1]) as fifo: text = fifo.read()
              try:
                  s.sendall(text.encode())
                  print(s.recv(1000).decode(), flush=True)
              except OSError as error:
                  print(error, flush=True)
      """
    client = try sites.start(.peer, "python3", "-c", program, words)
    guard eventually({ HostFiles.exists(words) }) else { throw HarnessError("no talk") }
  }

  func says(_ word: String) -> Bool {
    var lines: [Substring] { client.output.split(separator: "\n") }
    let before = lines.count
    let told = try? sites.node.host.run(["sh", "-c", "echo -n '\(word)' >'\(words)'"])
    guard told?.status == 0 else { return false }
    _ = eventually(within: 8) { lines.count > before || !client.isRunning }
    return lines.last.map(String.init) == word
  }

  deinit { client.signal(SIGKILL) }
}
