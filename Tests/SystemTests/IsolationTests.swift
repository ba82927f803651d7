import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What a slice sees of the host and of others, and what it may do. The conformance suite tries more.
@Suite(.requiresSlices) struct IsolationTests {
  @Test func processesOfOthersAreInvisible() throws {
    try withNode { node in
      try node.create("web", command: ["sleep", "31415"])
      try node.create("other", command: ["sleep", "27182"])
      let seen = try node.shell("web", "ps")
      #expect(seen.contains("sleep 31415"))
      #expect(!seen.contains("27182") && !seen.contains("sliced"))
      #expect(try node.shell("web", "cat /proc/1/comm") == "slice-init")
    }
  }

  @Test func hostnameMountsAndIPCAreItsOwn() throws {
    try withNode { node in
      try node.create("web")
      try node.create("other")
      #expect(try node.shell("web", "hostname") == "web")
      #expect(try node.shell("other", "hostname") == "other")
      let mounts = try node.shell("web", "cat /proc/self/mountinfo")
      for line in mounts.split(separator: "\n") {
        // Of mount points; the layers' places are overlayfs's own text.
        #expect(!line.contains(" /tmp/slices-test"), "\(line)")
        #expect(!line.contains("shared:") && !line.contains("master:"), "\(line)")
      }
      for kind in ["pid", "mnt", "uts", "ipc", "net", "user", "cgroup"] {
        let web = try node.shell("web", "readlink /proc/self/ns/\(kind)")
        let other = try node.shell("other", "readlink /proc/self/ns/\(kind)")
        #expect(web != other && web != HostFiles.link("/proc/self/ns/\(kind)"), "\(kind)")
      }
      _ = try node.shell("web", "echo mine >/dev/shm/x; echo mine >/tmp/x; echo mine >/root/x")
      let foreign = try node.slicectl(
        "exec", "other", "--", "cat", "/dev/shm/x", "/tmp/x", "/root/x")
      #expect(foreign.output == "" && foreign.status != 0)
    }
  }

  @Test func filesOutliveTheRunAndMemoryDoesNot() throws {
    try withNode { node in
      try node.create("web")
      _ = try node.shell("web", "echo kept >/root/kept; echo gone >/tmp/gone")
      try node.succeed("restart", "web")
      #expect(try node.shell("web", "cat /root/kept") == "kept")
      #expect(try node.shell("web", "ls /tmp") == "")
    }
  }

  @Test func aSlicesRootIsNobodyOutside() throws {
    try withNode { node in
      try node.create("web")
      try node.create("other")
      #expect(try node.shell("web", "id -u") == "0")
      let maps = try ["web", "other"].map { try node.shell($0, "cat /proc/self/uid_map") }
      #expect(maps[0] != maps[1])
      for map in maps {
        let fields = map.split(separator: " ").compactMap { UInt32($0) }
        #expect(fields[0] == 0 && fields[1] >= 65536 && fields[2] == 65536)
      }
      _ = try node.shell("web", "touch /root/file")
      var info = stat()
      #expect(stat("\(node.state)/storage/web/upper/root/file", &info) == 0)
      #expect(info.st_uid >= 65536)
    }
  }

  @Test func imagesCannotBeChanged() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "host", "--", "sleep", "100000")
      #expect(try node.slicectl("exec", "web", "--", "touch", "/usr/bin/new").status != 0)
      try node.create("a")
      try node.create("b")
      _ = try node.shell("a", "echo changed >/etc/passwd")
      #expect(try node.shell("b", "cat /etc/passwd").contains("root"))
    }
  }

  @Test func nothingOfTheHostsDataIsInTheHostImage() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "host", "--", "sleep", "100000")
      for path in ["/home", "/root", "/srv", "/mnt", "/opt"] {
        #expect(
          try node.execute("web", "sh", "-c", "ls -A \(path) 2>/dev/null || true") == "", "\(path)")
      }
      #expect(
        try node.slicectl("exec", "web", "--", "cat", "/etc/shadow").output.contains("$") == false)
      #expect(try node.slicectl("exec", "web", "--", "ls", node.directory).status != 0)
      #expect(
        try node.execute("web", "sh", "-c", "ls /etc/ssh 2>/dev/null | grep key || true") == "")
    }
  }

  @Test func capabilitiesAndFiltersAreSetOnEveryWayIn() throws {
    try withNode { node in
      // The service prints its own; the shell of `enter`, and `exec`, theirs.
      let script = "grep -E '^(Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status"
      try node.create("web", command: ["sh", "-c", "\(script); sleep 100000"])
      #expect(try eventually { try node.succeed("logs", "web").contains("Seccomp") })
      let ways = [
        try node.succeed("logs", "web"), try node.shell("web", script) + "\n",
        try node.slicectl("enter", "web", input: script + "\n").output,
      ]
      for way in ways {
        #expect(way.contains("NoNewPrivs:\t1\n"), "\(way)")
        #expect(way.contains("Seccomp:\t2\n"), "\(way)")
        #expect(way.contains("CapInh:\t0000000000000000\n"), "\(way)")
        #expect(way.contains("CapAmb:\t0000000000000000\n"), "\(way)")
        #expect(way.contains("CapBnd:\t00000000a00405fb\n"), "\(way)")
      }
      #expect(Set(ways).count == 1)
    }
  }

  @Test func onlyTheStreamsAreOpen() throws {
    try withNode { node in
      let script = "ls /proc/self/fd | tr '\\n' ' '; echo"
      try node.create("web", command: ["sh", "-c", "\(script); sleep 100000"])
      #expect(try eventually { try node.succeed("logs", "web").contains("0") })
      // ls has the directory itself open as 3.
      #expect(try node.succeed("logs", "web") == "0 1 2 3 \n")
      #expect(try node.shell("web", script) == "0 1 2 3 ")
      #expect(try node.slicectl("enter", "web", input: script + "\n").output == "0 1 2 3 \n")
    }
  }

  @Test func sliceInitCannotBeLookedInto() throws {
    try withNode { node in
      try node.create("web")
      for path in ["/proc/1/fd/0", "/proc/1/environ", "/proc/1/maps", "/proc/1/mem"] {
        let result = try node.slicectl("exec", "web", "--", "cat", path)
        #expect(result.status != 0 && result.output == "", "\(path): \(result)")
      }
      #expect(try node.slicectl("exec", "web", "--", "ls", "/proc/1/fd").output == "")
    }
  }
}

/// Tests/Probes/attack.c: each attack must be held off on every way into a slice.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/cc")) struct AttackTests {
  private func expectHeld(_ output: String, _ way: String) {
    let lines = output.split(separator: "\n")
    #expect(lines.count > 50, "\(way): \(output)")
    for line in lines {
      // User-Mode Linux has no i386 entry: int 0x80 is there one more way to make an ordinary call.
      if Host.isUserModeLinux, line.hasPrefix("i386 ") { continue }
      #expect(line.contains(" held ") || line.hasSuffix(" skipped"), "\(way): \(line)")
    }
  }

  @Test func noneSucceedsOnAnyWayIn() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("attack")
      try node.succeed(
        "create", "web", "--image", "probes", "--", "/bin/sh", "-c",
        "/bin/attack; echo finished; while :; do sleep 1000; done")
      #expect(try eventually(within: 60) { try node.succeed("logs", "web").contains("finished") })
      let service = try node.succeed("logs", "web").split(separator: "\n").filter {
        $0 != "finished"
      }
      expectHeld(service.joined(separator: "\n"), "service")
      expectHeld(try node.slicectl("exec", "web", "--", "/bin/attack").output, "exec")
      expectHeld(try node.slicectl("enter", "web", input: "/bin/attack\n").output, "enter")
      expectHeld(
        try node.slicectl("exec", "web", "--user", "1000", "--", "/bin/attack").output, "user 1000")
    }
  }

  /// The control: outside of a slice the same probes succeed, as far as it is safe to let them.
  @Test func outsideTheySucceed() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("attack")
      let attacks = [
        "clone_user", "clone_net", "unshare_mount", "af_packet", "raw_inet", "set_hostname",
      ]
      let result = try node.host.run([node.directory + "/probes/bin/attack"] + attacks)
      for attack in attacks { #expect(result.output.contains("\(attack) open"), "\(result)") }
    }
  }

  // MARK: - Devices

  /// The second lock: even root of the host, once among a slice's processes, opens and makes nothing but
  /// what a slice's /dev has.
  @Test func devicesAreHeldByTheCgroupToo() throws {
    try withNode { node in
      try node.create("web")
      let script = """
        [ "$1" = outside ] || echo $$ > "$1/cgroup.procs" || exit 9
        for device in /dev/null /dev/zero /dev/urandom /dev/kmsg; do
          (: < $device) 2>/dev/null && echo "open $device"
        done
        for numbers in "c 1 3" "c 1 11" "b 7 0"; do
          mknod "$2" $numbers 2>/dev/null && echo "make $numbers" && rm "$2"
        done
        """
      func tried(_ place: String) throws -> [Substring] {
        let result = try node.host.run([
          "sh", "-c", script, "sh", place, node.directory + "/device",
        ])
        #expect(result.status == 0 || result.status == 1, "\(result)")
        return result.output.split(separator: "\n")
      }
      let slices =
        [
          "open /dev/null", "open /dev/zero", "open /dev/urandom", "make c 1 3",
        ] as [Substring]
      let inside = node.cgroup + "/web/slice"
      #expect(try tried(inside) == slices)
      #expect(
        try tried("outside") == slices[..<3] + [
          "open /dev/kmsg", "make c 1 3", "make c 1 11", "make b 7 0",
        ])
      // The next supervisor holds them too.
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try tried(inside) == slices)
    }
  }
}
