import SliceModel
import SystemTestSupport
import Testing

/// Profiles of system calls, and notes of what is refused, seen from inside a slice.
@Suite(.requiresSlices) struct SystemCallTests {
  /// Each makes one call: 0, or errno, is the exit status of the program.
  private static let program = #"""
    import ctypes, sys
    libc = ctypes.CDLL(None, use_errno=True)
    number, arguments = int(sys.argv[1]), [int(text, 0) for text in sys.argv[2:]]
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(each) for each in arguments])
    sys.exit(0 if result != -1 else ctypes.get_errno())
    """#

  private enum Call: String {
    case getpid = "39"
    case ptraceTraceMe = "101 0 0 0 0"
    case shmget = "29 0 4096 0x3b6"
    case netlink = "41 16 3 0"
    case unix = "41 1 1 0"
    case vsock = "41 40 1 0"
    case mount = "165 0 0 0 0 0"
    case unknown = "467 0 0 0 0 0"
    case ioUringSetup = "425 1 0"
    case getcpu = "309 0 0 0"
  }

  /// errno of a call by a command that enters; 0: it went well.
  private func result(_ node: TestNode, _ slice: String, _ call: Call) throws -> Int32 {
    try node.slicectl(
      ["exec", slice, "--", "python3", "-c", Self.program]
        + call.rawValue.split(separator: " ").map(String.init)
    ).status
  }

  private func create(_ node: TestNode, _ name: String, _ options: String...) throws {
    let result = try node.slicectl(
      ["create", name] + options + ["--", "sleep", "100000"])
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
  }

  @Test func strictRefusesWhatTheDefaultAllows() throws {
    try withNode { node in
      try create(node, "plain")
      try create(node, "strict", "--set", "seccomp.profile=strict")
      for (call, plain, strict) in [
        (Call.getpid, 0, 0), (.unix, 0, 0), (.ptraceTraceMe, 0, 1), (.shmget, 0, 1),
        (.netlink, 0, 97), (.vsock, 97, 97), (.mount, 1, 1), (.unknown, 38, 38),
      ] as [(Call, Int32, Int32)] {
        #expect(try result(node, "plain", call) == plain, "\(call)")
        #expect(try result(node, "strict", call) == strict, "\(call)")
      }
      // A service of the kind that it is for.
      try create(node, "web", "--set", "seccomp.profile=strict", "--set", "pids.max=64")
      let served = try node.execute(
        "web", "sh", "-c",
        """
        cd /root; echo served >index.html; python3 -m http.server 8000 >/dev/null 2>&1 &
        for i in $(seq 50); do
          python3 -c 'import urllib.request as u; print(u.urlopen("http://127.0.0.1:8000/").read().decode(), end="")' \
            2>/dev/null && break
          sleep 0.2
        done; kill $!
        """)
      #expect(served == "served")
    }
  }

  @Test func aProfileOfOnesOwnOnlyTakesAway() throws {
    try withNode { node in
      let file = node.directory + "/profile.toml"
      try HostFiles.write(
        """
        refuse = ["getcpu", "shmget"]
        sockets = ["unix"]
        """, to: file)
      try create(node, "own", "--seccomp", file)
      try create(node, "loose", "--seccomp", file, "--set", "seccomp.sockets=unix,netlink")
      #expect(try result(node, "own", .getcpu) == 1)
      #expect(try result(node, "own", .netlink) == 97)
      #expect(try result(node, "loose", .netlink) == 0)
      #expect(try result(node, "own", .unix) == 0)
      #expect(try result(node, "own", .ptraceTraceMe) == 0)
      #expect(
        try node.inspect("own")["settings"]["seccomp.refuse"].string == "getcpu,shmget")

      // The last line is the one that is wrong.
      for (text, words) in [
        ("allow = [\"mount\"]", "does not allow mount"),
        ("refuse = [\"getcpuu\"]", "no system call 'getcpuu'"),
        ("refuse = [\"execve\"]", "without execve"),
        ("sockets = [\"vsock\"]", "vsock"), ("alow = []", "unknown key 'alow'"),
      ] {
        try HostFiles.write(text + "\n", to: file)
        let refused = try node.slicectl("create", "x", "--seccomp", file)
        #expect(refused.fails(2, words), "\(refused)")
      }
      #expect(try node.state(of: "x") == nil)
      let change = try node.slicectl("set", "own", "seccomp.profile=strict")
      #expect(change.fails(2, "fixed"), "\(change)")
    }
  }

  /// The least that a list can leave: slice-init starts, watches, restarts and stops a service under it,
  /// and commands enter.
  @Test func sliceInitLivesOnWhatCannotBeRefused() throws {
    try withNode { node in
      try node.create(
        "least", "--set", "seccomp.allow=getpid", "--restart", "always",
        command: ["sh", "-c", "echo ran; exit 0"])
      let restarted = try eventually(within: 10) {
        (try node.inspect("least")["restarts"].integer ?? 0) >= 2
      }
      #expect(restarted)
      #expect(try node.succeed("logs", "least").contains("ran"))
      let entered = try node.slicectl("exec", "least", "--user", "1000", "--", "echo", "in")
      #expect(entered.output == "in\n", "\(entered)")
      let refused = try node.slicectl("exec", "least", "--", "mkdir", "/root/x")
      #expect(refused.status == 1 && refused.errors.contains("not permitted"), "\(refused)")
      try node.succeed("stop", "least")
    }
  }

  @Test func whatIsRefusedIsNoted() throws {
    try withNode { node in
      let file = "/root/call.py"
      let service = """
        cat >\(file) <<'END'
        \(Self.program)
        END
        for call in '\(Call.ioUringSetup.rawValue)' '\(Call.mount.rawValue)' '\(Call.unknown.rawValue)' '\(Call.vsock.rawValue)' \
          '\(Call.ptraceTraceMe.rawValue)' '\(Call.netlink.rawValue)' '\(Call.getcpu.rawValue)'; do
          python3 \(file) $call; echo "result $?"
        done
        exec sleep 100000
        """
      for (name, notes) in [("noted", "true"), ("plain", "false")] {
        let created = try node.slicectl(
          "create", name, "--set", "seccomp.profile=strict", "--set", "seccomp.log=\(notes)", "--",
          "sh", "-c", service)
        #expect(created.status == 0, "\(created)")
        let done = try eventually(within: 20) {
          try node.succeed("logs", name).components("result ").count == 8
        }
        #expect(done)
        // Refused alike, whether it is noted or not.
        let results = try node.succeed("logs", name).components("result ").dropFirst()
          .map { $0.prefix { $0.isNumber } }
        #expect(results == ["1", "1", "38", "97", "1", "97", "0"])
      }
      #expect(try node.inspect("plain")["refusedCalls"] == .null)
      let noted = try node.inspect("noted")["refusedCalls"]
      let calls = noted["calls"].array ?? []
      func entry(_ call: String) -> JSONValue? {
        calls.first { $0["call"].string == call && $0["program"].string == "python3" }
      }
      #expect(entry("mount")?["error"].string == "EPERM", "\(noted)")
      #expect(entry("call 467")?["error"].string == "ENOSYS" || entry("call 467") == nil)
      // The supervisor's own filter, which every slice is under, has no word for it that comes first.
      #expect(entry("io_uring_setup")?["error"].string == "EPERM")
      #expect(entry("socket")?["error"].string == "EAFNOSUPPORT")
      #expect(entry("socket")?["times"].integer ?? 0 >= 2)
      #expect(entry("ptrace")?["times"].integer == 1)
      #expect(entry("getcpu") == nil)
      #expect(noted["total"].integer ?? 0 >= 5)
      #expect(try node.succeed("inspect", "noted").contains("refusedCalls.calls[0].call"))

      // It goes on without the supervisor, and the slice runs on.
      node.stopSupervisor()
      try node.startSupervisor()
      #expect(try node.inspect("noted")["refusedCalls"]["total"].integer ?? 0 >= 5)
      try node.succeed("restart", "noted")
      #expect(
        try eventually(within: 20) {
          (try node.inspect("noted")["refusedCalls"]["total"].integer ?? 0) >= 5
        })
    }
  }

  /// In a slice without grants the kernel refuses raw sockets, unless refusals are noted: then it is told
  /// too.
  @Test func aRawSocketWithoutAGrantIsTold() throws {
    try withNode { node in
      let program = """
        from socket import *
        import errno, time
        def attempt(*arguments):
            try: socket(*arguments); return "ok"
            except OSError as error: return errno.errorcode[error.errno]
        print(attempt(AF_INET, SOCK_DGRAM), attempt(AF_INET6, SOCK_RAW, 58), attempt(AF_INET, SOCK_RAW, 1))
        time.sleep(1000)
        """
      for (name, notes) in [("noted", "true"), ("plain", "false")] {
        let created = try node.slicectl(
          "create", name, "--set", "seccomp.log=\(notes)", "--", "python3", "-Suc", program)
        try #require(created.status == 0, "\(created)")
      }
      for name in ["noted", "plain"] {
        #expect(
          try eventually(within: 20) {
            try node.succeed("logs", name).contains("ok EPERM EPERM\n")
          })
      }
      var told: [JSONValue] = []
      _ = try eventually(within: 20) {
        told = try node.events("raw-refused", of: "noted")
        return !told.isEmpty
      }
      #expect(told.map { $0["call"].string } == ["socket(AF_INET, SOCK_RAW, 1)"])
      #expect(try node.events("raw-refused", of: "plain").isEmpty)
    }
  }

  /// Programs that are refused calls as fast as they can neither fill anything nor keep slice-init from
  /// its work.
  @Test func aFloodOfRefusedCallsHarmsNobody() throws {
    try withNode { node in
      let flood = """
        import ctypes, os
        libc = ctypes.CDLL(None)
        for name in range(200):
            with open("/proc/self/comm", "w") as file: file.write("p%d" % name)
            libc.mount(0, 0, 0, 0, 0)
        for child in range(8): os.fork()
        while True: libc.mount(0, 0, 0, 0, 0)
        """
      let created = try node.slicectl(
        "create", "flood", "--set", "seccomp.log=true", "--set", "pids.max=600", "--", "python3",
        "-c", flood)
      #expect(created.status == 0, "\(created)")
      #expect(
        try eventually(within: 20) {
          (try node.inspect("flood")["refusedCalls"]["total"].integer ?? 0) > 1000
        })
      #expect(try node.inspect("flood")["refusedCalls"]["calls"].array?.count ?? 0 <= 64)
      try node.create("other")
      let stopped = try node.slicectl("stop", "--timeout", "2s", "flood", timeout: 20)
      #expect(stopped.status == 0, "\(stopped)")
    }
  }

  @Test func notesNeedTheOnlyListener() throws {
    try withNode { node in
      let refused = try node.slicectl(
        "create", "x", "--image", "minimal", "--allow-unenforced", "--set", "seccomp.log=true",
        "--set", "raw.allow=icmp")
      #expect(refused.fails(2, "seccomp.log", "raw.allow"), "\(refused)")
    }
  }
}

extension String {
  fileprivate func components(_ separator: String) -> [Substring] {
    var parts: [Substring] = []
    var rest = self[...]
    while let range = rest.firstRange(of: separator) {
      parts.append(rest[..<range.lowerBound])
      rest = rest[range.upperBound...]
    }
    return parts + [rest]
  }
}
