import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Slices outlive the supervisor, and what belongs to none goes when it starts.
@Suite(.requiresSlices) struct RecoveryTests {
  @Test func aNewSupervisorAdoptsWhatRuns() throws {
    try withNode { node in
      try node.create(
        "web", command: ["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"])
      try node.create("idle", "--no-start")
      let before = try node.json("list").array ?? []
      node.crashSupervisor()
      let lines = try #require(logLines(node, "web").last)
      #expect(eventually { logLines(node, "web").last != lines }, "the log goes on without sliced")
      try node.startSupervisor()
      let after = try node.json("list").array ?? []
      #expect(after == before)
      #expect(try node.execute("web", "hostname") == "web")
      let shown = try node.succeed("logs", "web").split(separator: "\n").compactMap { Int($0) }
      #expect(shown == Array(1...shown.count), "no line is lost")
      try node.succeed("pause", "web")
      try node.succeed("resume", "web")
      try node.succeed("stop", "web")
    }
  }

  private func logLines(_ node: TestNode, _ slice: String) -> [Substring] {
    HostFiles.tree("\(node.state)/slices/\(slice)/log").map(HostFiles.text).joined()
      .split(separator: "\n")
  }

  @Test func aPlainRestartIsNoDifferent() throws {
    try withNode { node in
      try node.create("web")
      let pid = try node.json("list").array?.first?["pid"]
      #expect(node.stopSupervisor() == 0)
      try node.startSupervisor()
      #expect(try node.json("list").array?.first?["pid"] == pid)
    }
  }

  @Test func theEndOfAServiceWhileNobodyLookedIsKnown() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "sleep 1; exit 9"])
      node.crashSupervisor()
      usleep(1_500_000)
      try node.startSupervisor()
      #expect(try node.reaches("failed", "web"))
      #expect(try node.inspect("web")["lastExit"]["exitCode"] == .integer(9))
      #expect(try node.slicectl("wait", "web").status == 9)
      try node.succeed("start", "web")
    }
  }

  @Test func theEndAfterAdoptionIsKnownToo() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "sleep 2; exit 11"])
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try node.slicectl("wait", "web").status == 11)
    }
  }

  @Test func aPausedSliceStaysPaused() throws {
    try withNode { node in
      try node.create("web")
      try node.succeed("pause", "web")
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try node.state(of: "web") == "paused")
      try node.succeed("resume", "web")
      #expect(try node.execute("web", "hostname") == "web")
    }
  }

  @Test func restartsGoOnWithoutTheSupervisor() throws {
    try withNode { node in
      try node.create("web", "--restart", "always", command: ["sh", "-c", "echo run; sleep 0.2"])
      node.crashSupervisor()
      let before = logLines(node, "web").count
      #expect(eventually(within: 20) { logLines(node, "web").count > before + 1 })
      try node.startSupervisor()
      #expect(try node.state(of: "web") == "running")
    }
  }

  @Test func orphansGoAtTheStart() throws {
    try withNode { node in
      try node.create("web")
      let before = node.resources()
      node.crashSupervisor()
      mkdir("\(node.cgroup)/ghost", 0o755)
      mkdir("\(node.cgroup)/ghost/slice", 0o755)
      let made = try node.host.run([
        "sh", "-ec",
        """
        mkdir -p '\(node.state)/storage/ghost/upper/etc' '\(node.state)/slices/ghost' '\(node.runtime)/running/ghost'
        ip link add sl-77 type veth peer name orphan0
        """,
      ])
      #expect(made.status == 0, "\(made)")
      let sleeper = try node.host.start([
        "sh", "-c", "echo $$ >'\(node.cgroup)/ghost/slice/cgroup.procs'; exec sleep 5555",
      ])
      #expect(eventually { HostFiles.text("\(node.cgroup)/ghost/slice/cgroup.procs") != "" })
      try node.startSupervisor()
      _ = sleeper.wait(seconds: 5)
      #expect(node.change(since: before) == "")
      #expect(try node.execute("web", "hostname") == "web")
    }
  }

  @Test func halfAStateIsRemoved() throws {
    try withNode { node in
      try node.create("web", "--no-start")
      let before = node.resources()
      node.crashSupervisor()
      // As a crash between the first directory and the record leaves it.
      mkdir("\(node.state)/slices/half", 0o700)
      mkdir("\(node.state)/storage/half", 0o700)
      mkdir("\(node.state)/storage/half/upper", 0o755)
      try node.startSupervisor()
      #expect(node.change(since: before) == "")
      try node.create("half")
    }
  }

  @Test func aSliceThatDiedWithItsHostIsStartedAgain() throws {
    try withNode { node in
      try node.create("web")
      try node.create("idle")
      try node.succeed("stop", "idle")
      node.crashSupervisor()
      // As after a reboot: no process, another boot.
      let record = "\(node.state)/slices/web/slice.json"
      let text = HostFiles.text(record)
      let boot = HostFiles.lines("/proc/sys/kernel/random/boot_id")[0]
      #expect(text.contains(boot))
      let other = String(boot.map { $0 == "-" ? "-" : "0" })
      try HostFiles.write(
        text.split(separator: boot, omittingEmptySubsequences: false).joined(separator: other),
        to: record)
      try HostFiles.write("1", to: "\(node.cgroup)/web/cgroup.kill")
      _ = try node.host.run(["ip", "link", "delete", "sl-0"])
      try node.startSupervisor()
      #expect(try node.state(of: "web") == "running")
      #expect(try node.state(of: "idle") == "stopped")
      #expect(try node.execute("web", "hostname") == "web")
    }
  }
}
