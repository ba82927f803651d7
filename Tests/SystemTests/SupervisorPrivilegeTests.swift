import SliceModel
import SystemTestSupport
import Testing

/// What sliced has given up, as the kernel says it; and that slices have lost nothing by it.
@Suite(.requiresSlices) struct SupervisorPrivilegeTests {
  /// Of capabilities(7).
  private static let numbers: [String: UInt64] = [
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_FSETID": 4, "CAP_SETGID": 6,
    "CAP_SETUID": 7, "CAP_SETPCAP": 8, "CAP_NET_BIND_SERVICE": 10, "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14, "CAP_SYS_CHROOT": 18, "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24, "CAP_MKNOD": 27, "CAP_SETFCAP": 31,
  ]

  /// What the unit says, which must be what the program does by itself.
  private func unitSet() throws -> UInt64 {
    let unit = HostFiles.text(Host.packageDirectory + "/Docs/examples/sliced.service")
    let line = try #require(
      unit.split(separator: "\nCapabilityBoundingSet=").dropFirst().first?
        .split(separator: "\nKeyringMode").first)
    var mask: UInt64 = 0
    for word in line.split(whereSeparator: { " \\\n".contains($0) }) {
      mask |= 1 << (try #require(Self.numbers[String(word)], "\(word)"))
    }
    return mask
  }

  private func status(_ path: String) -> [String: String] {
    Dictionary(
      HostFiles.lines(path).compactMap { line in
        let parts = line.split(separator: ":", maxSplits: 1)
        return parts.count == 2
          ? (String(parts[0]), String(parts[1].filter { !" \t".contains($0) })) : nil
      }, uniquingKeysWith: { first, _ in first })
  }

  @Test func everyThreadHasLittle() throws {
    let wanted = try unitSet()
    try withNode { node in
      try node.create("web")
      let process = "\(node.host.proc)/\(try #require(node.supervisorPID))"
      let threads = HostFiles.list(process + "/task")
      #expect(threads.count > 5)
      for thread in threads {
        let found = status("\(process)/task/\(thread)/status")
        for set in ["CapBnd", "CapPrm", "CapEff"] {
          let mask = try #require(found[set].flatMap { UInt64($0, radix: 16) })
          #expect(mask & ~wanted == 0, "\(set) of \(found["Name"] ?? thread)")
          // Less what this machine does not have.
          #expect(mask.nonzeroBitCount >= wanted.nonzeroBitCount - 2)
        }
        #expect(found["CapInh"] == "0000000000000000" && found["CapAmb"] == "0000000000000000")
        #expect(found["NoNewPrivs"] == "1")
        #expect(found["Seccomp"] == "2")
      }
      // A control: this test's own process has more.
      let own = status("/proc/self/status")
      let mask = try #require(own["CapBnd"].flatMap { UInt64($0, radix: 16) })
      #expect(mask & ~wanted != 0)
    }
  }

  /// Twelve in its own user namespace, some of which the supervisor has not.
  @Test func aSliceHasItsOwnCapabilities() throws {
    try withNode { node in
      try node.create("web")
      let text = try node.execute("web", "cat", "/proc/self/status")
      #expect(text.contains("CapBnd:\t00000000a00405fb"))
      #expect(text.contains("CapEff:\t00000000a00405fb"))
      // CAP_KILL and CAP_NET_BIND_SERVICE at work, as any root of a machine has them.
      #expect(
        try node.shell("web", "sleep 100 & kill $! && echo killed") == "killed")
    }
  }

  /// Debuggers work in a slice; only to hear of what filters say, which could undo it, is refused.
  @Test func tracingGoesOn() throws {
    try withNode { node in
      let made = try node.slicectl("create", "web", "--", "sleep", "100000")
      #expect(made.status == 0, "\(made)")
      let output = try node.execute(
        "web", "python3", "-c",
        """
        import ctypes, os, signal, time
        libc = ctypes.CDLL(None, use_errno=True)
        def seize(options):
            child = os.fork()
            if child == 0:
                time.sleep(30); os._exit(0)
            result = libc.ptrace(0x4206, child, 0, ctypes.c_long(options))
            error = ctypes.get_errno() if result else 0
            os.kill(child, signal.SIGKILL); os.waitpid(child, 0)
            return error
        print(seize(1), seize(0x80), seize(0x81))
        """)
      #expect(output == "0 1 1")
    }
  }
}
