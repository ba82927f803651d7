import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Grants of raw sockets to slices, from outside. What a broker does with each kind of socket is tested by
/// Tests/BrokerTests, programs as Debian has them by `RawProgramTests`.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct RawSocketTests {
  // MARK: - Granting

  @Test func whatIsGrantedOpensAndTheRestFailsAndIsTold() throws {
    try withNode { node in
      try node.createRaw("a", "icmp,udp:5000-5001")
      #expect(
        try node.open(
          "a", "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 17", "AF_INET, SOCK_RAW, 255")
          == ["ok", "ok", "ok"])
      #expect(
        try node.open(
          "a", "AF_INET, SOCK_RAW, 6", "AF_INET6, SOCK_RAW, 58", "AF_PACKET, SOCK_RAW, 768",
          "AF_PACKET, SOCK_DGRAM, 0") == ["EPERM", "EPERM", "EPERM", "EPERM"])
      // The broker tells the supervisor, which may come to it later than the program to its end.
      var calls: [String] = []
      _ = try eventually {
        calls = try node.events("raw-refused", of: "a").compactMap { $0["call"].string }
        return calls.count >= 4
      }
      #expect(
        calls.sorted() == [
          "socket(AF_INET, SOCK_RAW, 6)", "socket(AF_INET6, SOCK_RAW, 58)",
          "socket(AF_PACKET, SOCK_DGRAM, 0x0)", "socket(AF_PACKET, SOCK_RAW, 0x3)",
        ])
      let raw = try node.inspect("a")["raw"]
      #expect(raw["allow"] == .array([.string("icmp"), .string("udp:5000-5001")]))
      #expect(raw["refused"].integer == 4)
      #expect(raw["broker"]["pid"].integer ?? 0 > 0)
      // A file, a service that opens one at once, and other sockets are as in every slice.
      #expect(try node.open("a", "AF_INET, SOCK_DGRAM", "AF_INET6, SOCK_STREAM") == ["ok", "ok"])
    }
  }

  /// Programs that sniff ask for memberships; the kernel would keep each, for ever more of them.
  @Test func membershipsAreAnsweredAndNotKept() throws {
    try withNode { node in
      try node.createRaw("a", "sniff")
      let script = """
        import struct
        from socket import *
        link = if_nametoindex("eth0")
        it = socket(AF_PACKET, SOCK_RAW, 0x300)
        it.setsockopt(263, 1, struct.pack("iHH8s", link, 1, 0, b""))
        for last in range(200):
            it.setsockopt(263, 1, struct.pack("iHH8s", link, 0, 6, bytes([1, 0, 0x5e, 7, 7, last])))
        print(int(open("/sys/class/net/eth0/flags").read(), 16) & 0x100)
        print(open("/proc/net/dev_mcast").read().count("01005e0707"))
        plain = socket(AF_INET, SOCK_DGRAM)
        try: plain.setsockopt(263, 1, struct.pack("iHH8s", link, 1, 0, b""))
        except OSError as error: print(error.errno == 92)
        """
      let result = try node.slicectl("exec", "a", "--", "python3", "-c", script)
      #expect(result.output == "0\n0\nTrue\n", "\(result)")
    }
  }

  /// What a client was sent and has not read counts against all brokers' bound, also after its `shutdown`;
  /// and closing a socket that it passes may wait for as long as it likes.
  @Test func clientsThatReadNothingHoldNobodyUp() throws {
    try withNode { node in
      try node.createRaw("a", "icmp")
      let script = """
        import os, struct, time
        from socket import *
        def client():
            it = socket(AF_UNIX, SOCK_SEQPACKET)
            it.connect("/run/slice/raw")
            return it
        def request(count): return struct.pack("IiiiIIII", 1, AF_INET, SOCK_RAW, 1, count, 0, 0, 0)
        held = []
        for _ in range(24):
            it = client()
            it.setblocking(False)
            it.send(request(64))
            time.sleep(0.05)
            it.shutdown(SHUT_RDWR)
            held.append(it)
        # Data that never goes: the other end's window is full. It is passed while the broker asks nobody, so
        # that the broker's is the last to be closed.
        server = socket(AF_INET, SOCK_STREAM)
        server.setsockopt(SOL_SOCKET, SO_RCVBUF, 2048)
        server.bind(("127.0.0.1", 0))
        server.listen()
        sender = create_connection(server.getsockname())
        accepted = server.accept()[0]
        sender.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 600))
        sender.setblocking(False)
        try:
            while True: sender.send(bytes(65536))
        except BlockingIOError: pass
        last = client()
        send_fds(last, [request(1)], [sender.fileno()])
        sender.close()
        received = 0
        for it in held:
            try: received += len(it.recvmsg(16, CMSG_SPACE(64 * 4))[1]) and 64
            except (BlockingIOError, ConnectionResetError): pass
        print(0 < received <= 5 * 64, flush=True)
        for it in held: it.close()
        last.recv(16)
        began = time.monotonic()
        socket(AF_INET, SOCK_RAW, 1)
        print(time.monotonic() - began < 30)
        """
      let result = try node.slicectl("exec", "a", "--", "python3", "-c", script)
      #expect(result.output == "True\nTrue\n", "\(result)")
    }
  }

  @Test func aSliceWithoutGrantsHasNoBroker() throws {
    try withNode { node in
      try node.createRaw("plain", nil)
      #expect(
        try node.open("plain", "AF_INET, SOCK_RAW, 1", "AF_INET6, SOCK_RAW, 58") == [
          "EPERM", "EPERM",
        ])
      #expect(try node.open("plain", "AF_PACKET, SOCK_RAW, 768") != ["ok"])
      let raw = try node.inspect("plain")["raw"]
      #expect(raw["broker"]["asked"] == .bool(false) && raw["broker"]["pid"] == .null)
      #expect(try !node.processes("plain").contains("slice-broker"))
    }
  }

  /// The service may ask before anything else has happened.
  @Test func theFirstCallOfTheServiceIsAnswered() throws {
    try withNode { node in
      for round in 0..<5 {
        let name = "a\(round)"
        try node.createRaw(
          name, "icmp",
          command: ["python3", "-c", "from socket import *\nsocket(AF_INET, SOCK_RAW, 1)"])
        #expect(try node.slicectl("wait", name).status == 0)
      }
    }
  }

  @Test(arguments: [
    "foo", "icmp:1", "udp", "udp:0", "udp:5-4", "tcp:70000", "tcp:1-", "proto:0", "proto:255",
    "proto:256", "proto:-1", "ethertype:0x05ff", "ethertype:0x0800", "ethertype:0x8100",
    "ethertype:0x10000", "ethertype:+12", "sniff:all", "tun:0",
  ])
  func aMistakeIsRefused(_ item: String) throws {
    let result = try Command.run([
      Host.programs + "/slicectl", "set", "a", "raw.allow=icmp,\(item)",
    ])
    #expect(result.fails(2, "raw.allow", "hint"), "\(result)")
  }

  @Test func whoMayHaveGrantsIsThePolicys() throws {
    let policy = """
      [owners.4242]
      grants = ["icmp", "udp"]
      """
    try withNode(.init(policy: policy)) { node in
      func create(_ name: String, _ grants: String, _ more: String..., as user: TestUser) throws
        -> CommandResult
      {
        try node.slicectl(
          ["create", name, "--image", "minimal", "--set", "raw.allow=\(grants)"] + more + [
            "--", "sleep", "100000",
          ], as: user)
      }
      #expect(try create("a", "icmp,udp:53", as: .alice).status == 0)
      #expect(try create("b", "icmp,sniff", as: .alice).fails(4, "sniff", "not granted"))
      #expect(try create("b", "icmp", as: .bob).fails(4, "icmp", "not granted"))
      #expect(
        try node.slicectl("set", "a", "raw.allow=icmp,tcp:80", as: .alice).fails(4, "tcp:80"))
      #expect(try node.inspect("a")["settings"]["raw.allow"].string == "icmp,udp:53")
      #expect(try create("b", "sniff", as: .root).status == 0)
      #expect(
        try create("c", "icmp", "--set", "net.mode=none", as: .root).fails(2, "net.mode=none"))
      let names = try node.json("list").array?.compactMap { $0["name"].string }
      #expect(names?.sorted() == ["a", "b"], "nothing of those that were refused is there")
    }
  }

  @Test func firstGrantsOfASliceThatRunsCountFromItsNextStart() throws {
    try withNode { node in
      try node.createRaw("a", nil)
      let result = try node.slicectl("set", "a", "raw.allow=icmp")
      #expect(result.status == 0 && (result.output + result.errors).contains("next start"))
      #expect(try node.open("a", "AF_INET, SOCK_RAW, 1") == ["EPERM"])
      try node.succeed("restart", "a")
      #expect(try node.open("a", "AF_INET, SOCK_RAW, 1") == ["ok"])
    }
  }

  // MARK: - Changing

  /// Two sockets, one of which loses its grant while both are in use; the other is the control.
  @Test func aGrantThatIsWithdrawnEndsWhatIsOpen() throws {
    try withNode { node in
      try node.createRaw("a", "icmp,sniff", command: ["python3", "-u", "-c", Self.busy])
      #expect(eventually { try! node.busy("a") == (icmp: true, sniff: true) })
      let result = try node.slicectl("set", "a", "raw.allow=sniff")
      #expect(result.status == 0 && (result.output + result.errors).contains("out of use: 1"))
      let sent = try node.sent("a")
      #expect(
        try node.busy("a") == (icmp: false, sniff: false), "nothing comes, for nothing is sent")
      #expect(try node.sent("a") == sent, "not a packet")
      #expect(try node.open("a", "AF_INET, SOCK_RAW, 1") == ["EPERM"])
      // Someone else's packets are what is still sniffed.
      let ping = try node.host.start(["ping", "-i", "0.1", "172.31.128.2"])
      defer { ping.signal(SIGKILL) }
      #expect(eventually { try! node.busy("a") == (icmp: false, sniff: true) })
      try node.succeed("set", "a", "raw.allow=")
      #expect(eventually { try! node.busy("a") == (icmp: false, sniff: false) })
      // The socket stays as it is, a new one is new.
      try node.succeed("set", "a", "raw.allow=icmp,sniff")
      #expect(try node.busy("a") == (icmp: false, sniff: false))
      #expect(
        try node.open("a", "AF_INET, SOCK_RAW, 1", "AF_PACKET, SOCK_RAW, 768") == ["ok", "ok"])
      #expect(try node.state(of: "a") == "running")
    }
  }

  /// Sends echo requests and reads answers by one socket, all frames by another; a line each 0.2 s.
  private static let busy = """
    from socket import *
    import time
    echo, sniffer = socket(AF_INET, SOCK_RAW, 1), socket(AF_PACKET, SOCK_RAW, 768)
    for one in echo, sniffer: one.setblocking(False)
    def took(one):
        count = 0
        try:
            while True: count += one.recv(2000) != b""
        except BlockingIOError: return count
    while True:
        try: echo.sendto(b"\\x08\\x00\\xf7\\xff\\0\\0\\0\\0", ("172.31.128.1", 0))
        except OSError: pass
        time.sleep(0.2)
        print("took", took(echo), took(sniffer))
    """

  /// One that is on its way through a Unix socket, where no process has it open.
  @Test func aSocketThatNobodyFindsEndsTheSlice() throws {
    try withNode { node in
      let hide = """
        from socket import *
        import os, time
        one, other = socketpair(AF_UNIX, SOCK_DGRAM)
        raw = socket(AF_INET, SOCK_RAW, 1)
        send_fds(one, [b"x"], [raw.fileno()])
        raw.close()
        print("hidden")
        time.sleep(1000)
        """
      try node.createRaw("a", "icmp,sniff", command: ["python3", "-u", "-c", hide])
      #expect(eventually { try! node.succeed("logs", "a").contains("hidden") })
      let result = try node.slicectl("set", "a", "raw.allow=sniff")
      #expect(result.status == 0 && (result.output + result.errors).contains("were ended"))
      #expect(try node.events("raw-withdrawn", of: "a").count == 1)
      #expect(try node.reaches("failed", "a"))
    }
  }

  @Test func grantsOfAPausedSliceChange() throws {
    try withNode { node in
      try node.createRaw("a", "icmp,sniff", command: ["python3", "-u", "-c", Self.busy])
      #expect(eventually { try! node.busy("a") == (icmp: true, sniff: true) })
      try node.succeed("pause", "a")
      try node.succeed("set", "a", "raw.allow=sniff", timeout: 15)
      #expect(try node.state(of: "a") == "paused")
      let before = try node.succeed("logs", "a")
      usleep(500_000)
      #expect(try node.succeed("logs", "a") == before, "it stands still")
      try node.succeed("resume", "a")
      #expect(eventually { try! node.succeed("logs", "a") != before })
      #expect(try node.busy("a").icmp == false)
    }
  }

  // MARK: - Brokers that end

  @Test func aBrokerThatIsKilledIsFollowedByAnother() throws {
    try withNode { node in
      try node.createRaw("a", "icmp", command: ["python3", "-u", "-c", Self.stream])
      let first = try #require(try node.broker("a"))
      try node.killBroker(first)
      let clock = ContinuousClock()
      let began = clock.now
      #expect(
        try node.open("a", "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 6") == ["ok", "EPERM"])
      #expect(
        clock.now - began < .seconds(Host.isUserModeLinux ? 20 : 2), "with the command's start")
      let next = try #require(try node.broker("a"))
      #expect(next != first)
      #expect(try node.events("raw-broker-lost", of: "a").count == 1)
      #expect(try node.state(of: "a") == "running")
    }
  }

  /// A service that does nothing with raw sockets.
  private static let stream = "import time\nwhile True: time.sleep(0.1); print('.')"

  @Test func grantsOutliveTheSupervisor() throws {
    try withNode { node in
      try node.createRaw("a", "icmp", command: ["python3", "-u", "-c", Self.opener])
      try node.createRaw("b", "icmp")
      #expect(eventually { try! node.succeed("logs", "a").contains("ok") })
      let broker = try #require(try node.broker("a"))
      let other = try #require(try node.broker("b"))
      node.crashSupervisor()
      // Nobody but the broker is needed: what the service has printed meanwhile is looked at below.
      usleep(1_000_000)
      try node.killBroker(other)
      try node.startSupervisor()
      #expect(try node.succeed("logs", "a").split(separator: "\n").count > 12)
      #expect(eventually { try! node.broker("a") == broker })
      #expect(
        try node.open("a", "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 6") == ["ok", "EPERM"])
      #expect(eventually { try! node.broker("b") != nil })
      #expect(
        try node.open("b", "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 6") == ["ok", "EPERM"])
      #expect(try !node.succeed("logs", "a").contains("E"), "each of its calls was answered")
      try node.succeed("set", "a", "raw.allow=tcp:80")
      #expect(
        try node.open("a", "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 6") == ["EPERM", "ok"])
    }
  }

  /// Opens a socket over and over.
  private static let opener = """
    from socket import *
    import errno, time
    while True:
        try: socket(AF_INET, SOCK_RAW, 1).close(); print("ok")
        except OSError as error: print(errno.errorcode[error.errno])
        time.sleep(0.05)
    """

  /// One that takes connections and one that doesn't any more, because eight wait already (listen(2)).
  @Test func aBrokerThatHangsIsReplacedAndNotDoubled() throws {
    try withNode { node in
      for name in ["deaf", "full"] { try node.createRaw(name, "icmp") }
      let before = try ["deaf", "full"].map { try #require(try node.broker($0)) }
      for pid in before { try node.succeed(signal: "STOP", pid) }
      node.crashSupervisor()
      let crowd = try node.host.start([
        "python3", "-uc",
        """
        import socket, sys, time
        held = []
        while True:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.setblocking(False)
            try: client.connect(sys.argv[1])
            except BlockingIOError: break
            held.append(client)
        print("full", len(held))
        time.sleep(1000)
        """, node.runtime + "/running/full/broker",
      ])
      defer { crowd.signal(SIGKILL) }
      try #require(eventually(within: 20) { crowd.output.contains("full") })
      try node.startSupervisor()
      for (name, old) in zip(["deaf", "full"], before) {
        #expect(
          try eventually(within: 30) { try node.broker(name).map { $0 != old } ?? false }, "\(name)"
        )
        #expect(
          try node.open(name, "AF_INET, SOCK_RAW, 1", "AF_INET, SOCK_RAW, 6") == ["ok", "EPERM"])
        let living = HostFiles.lines("\(node.cgroup)/\(name)/broker/cgroup.procs")
        #expect(living.count == 1, "\(name): \(living)")
      }
    }
  }

  /// A command that entered the slice before the supervisor's restart asks by a filter of its own.
  @Test func commandsThatEnteredAreServedThroughARestart() throws {
    try withNode { node in
      try node.createRaw("a", "icmp")
      let program = """
        from socket import *
        import errno, os, time
        while not os.path.exists("/tmp/go"): time.sleep(0.02)
        try: socket(AF_INET, SOCK_RAW, 1); print("ok")
        except OSError as error: print(errno.errorcode[error.errno])
        """
      _ = try node.execute(
        "a", "sh", "-c", "setsid python3 -S -c \"$0\" >/tmp/said 2>&1 </dev/null &", program)
      let broker = try #require(try node.broker("a"))
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try eventually { try node.broker("a") == broker })
      try node.killBroker(broker)
      _ = try node.execute("a", "touch", "/tmp/go")
      var said = ""
      _ = try eventually {
        said = try node.execute("a", "cat", "/tmp/said")
        return !said.isEmpty
      }
      #expect(said == "ok")
    }
  }

  @Test func sixtyFourThreadsAtOnce() throws {
    try withNode { node in
      try node.createRaw("a", "icmp")
      let program = """
        from socket import *
        import threading
        opened = []
        def work():
            for _ in range(20): opened.append(socket(AF_INET, SOCK_RAW, 1))
        threads = [threading.Thread(target=work) for _ in range(64)]
        for one in threads: one.start()
        for one in threads: one.join()
        print(len(opened), len({one.fileno() for one in opened}))
        """
      let result = try node.slicectl(
        "exec", "a", "--", "sh", "-c", "ulimit -n 4096; exec python3 -c \"$0\"", program)
      #expect(result.output == "1280 1280\n", "\(result)")
    }
  }
}

extension TestNode {
  /// What socket(2) with each of these words for its arguments comes to in a slice: `ok`, or the errno's
  /// name.
  fileprivate func open(_ slice: String, _ calls: String...) throws -> [String] {
    let program = """
      from socket import *
      import errno
      def attempt(*arguments):
          try: socket(*arguments); return "ok"
          except OSError as error: return errno.errorcode[error.errno]
      \(calls.map { "print(attempt(\($0)))" }.joined(separator: "\n"))
      """
    return try execute(slice, "python3", "-S", "-c", program).split(separator: "\n").map(
      String.init)
  }

  fileprivate func processes(_ slice: String) throws -> String { try execute(slice, "ps", "ax") }

  /// In sliced's PID namespace; nil: there is none.
  fileprivate func broker(_ slice: String) throws -> Int64? {
    try inspect(slice)["raw"]["broker"]["pid"].integer
  }

  fileprivate func killBroker(_ pid: Int64) throws { try succeed(signal: "KILL", pid) }

  /// Signals a process of the host's.
  fileprivate func succeed(signal: String, _ pid: Int64) throws {
    let done = try host.run(["kill", "-s", signal, "\(pid)"])
    guard done.status == 0 else { throw HarnessError("\(done)") }
  }

  /// What a slice has sent by its link.
  fileprivate func sent(_ slice: String) throws -> JSONValue {
    try json("shares", slice).array?.first?["net"]["sentPackets"] ?? .null
  }

  /// Whether the service of `RawSocketTests.busy` has received anything in its last rounds, by either
  /// socket.
  fileprivate func busy(_ slice: String) throws -> (icmp: Bool, sniff: Bool) {
    func lines() throws -> [Substring] {
      try succeed("logs", slice).split(separator: "\n").filter { $0.contains("took") }
    }
    let before = try lines().count
    // The first of the new ones may have begun before.
    guard try eventually(within: 30, { try lines().count >= before + 4 }) else {
      throw HarnessError("the service does not go on")
    }
    let numbers = try lines().dropFirst(before + 1).map { line in
      line.split(separator: " ").suffix(2).compactMap { Int($0) }
    }
    return (numbers.contains { $0[0] > 0 }, numbers.contains { $0[1] > 0 })
  }
}
