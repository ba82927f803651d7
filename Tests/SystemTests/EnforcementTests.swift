import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Limits that the kernel holds. Where this machine's cgroup v2 has no controllers, these run in the
/// lab (Tests/run-tests picks them by the suite's name).
@Suite(.requiresSlices) struct EnforcementTests {
  private func file(_ node: TestNode, _ slice: String, _ name: String) -> String {
    let text = HostFiles.text("\(node.cgroup)/\(slice)/\(name)")
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  @Test(.requiresController("memory"), .requiresController("pids"), .requiresController("cpu"))
  func theKernelHoldsWhatWasAsked() throws {
    try withNode { node in
      try node.create(
        "web", "--set", "cpu.weight=250", "--set", "cpu.max=150%", "--set", "memory.max=64M",
        "--set", "memory.high=48M", "--set", "pids.max=40")
      #expect(file(node, "web", "cpu.weight") == "250")
      #expect(file(node, "web", "cpu.max") == "150000 100000")
      #expect(file(node, "web", "memory.max") == "\(64 << 20)")
      #expect(file(node, "web", "memory.high") == "\(48 << 20)")
      #expect(file(node, "web", "pids.max") == "40")
      #expect(try node.json("list").array?.first?["unenforced"] == .array([]))
    }
  }

  @Test(.requiresController("memory"), .requiresController("pids"), .requiresController("cpu"))
  func setReachesARunningSlice() throws {
    try withNode { node in
      try node.create("web", "--set", "memory.max=64M")
      try node.succeed(
        "set", "web", "memory.max=128M", "pids.max=30", "cpu.max=50%", "cpu.weight=20")
      #expect(file(node, "web", "memory.max") == "\(128 << 20)")
      #expect(file(node, "web", "pids.max") == "30")
      #expect(file(node, "web", "cpu.max") == "50000 100000")
      #expect(file(node, "web", "cpu.weight") == "20")
      try node.succeed("set", "web", "memory.max=", "pids.max=max")
      #expect(file(node, "web", "memory.max") == "max")
      #expect(file(node, "web", "pids.max") == "max")
      try node.succeed("restart", "web")
      #expect(file(node, "web", "cpu.max") == "50000 100000", "settings outlive the run")
    }
  }

  @Test(.requiresController("cpu")) func aRefusedSetChangesNoFile() throws {
    try withNode { node in
      try node.create("web", "--set", "cpu.weight=33")
      #expect(try node.slicectl("set", "web", "cpu.weight=44", "pids.max=1").status == 2)
      #expect(file(node, "web", "cpu.weight") == "33")
    }
  }

  @Test(.requiresController("cpuset")) func processorsAreThoseNamed() throws {
    try withNode { node in
      try node.create("web", "--set", "cpu.set=0")
      #expect(file(node, "web", "cpuset.cpus.effective") == "0")
      #expect(try node.execute("web", "nproc") == "1")
    }
  }

  /// Doubles a shell variable until the kernel objects.
  private static let glutton = "x=0123456789abcdef; while :; do x=$x$x; done"

  @Test(.requiresController("memory")) func moreMemoryThanAllowedKills() throws {
    try withNode { node in
      try node.create("calm", command: ["sh", "-c", "while :; do echo alive; sleep 0.2; done"])
      try node.create(
        "glutton", "--set", "memory.max=16M", "--set", "memory.swap.max=0",
        command: ["sh", "-c", Self.glutton])
      #expect(try node.reaches("failed", "glutton", within: 60))
      #expect(try node.inspect("glutton")["lastExit"]["signal"] == .integer(Int64(SIGKILL)))
      #expect(try node.state(of: "calm") == "running")
    }
  }

  @Test(.requiresController("memory")) func filesInMemoryCount() throws {
    try withNode { node in
      try node.create("web", "--set", "memory.max=16M", "--set", "memory.swap.max=0")
      let result = try node.slicectl(
        "exec", "web", "--", "dd", "if=/dev/zero", "of=/tmp/big", "bs=1M", "count=64")
      #expect(result.status != 0)
      #expect(try node.json("shares", "web").array?.first?["memory"]["oomKills"].integer ?? 0 > 0)
    }
  }

  @Test(.requiresController("pids")) func moreProcessesThanAllowedFail() throws {
    try withNode { node in
      try node.create("web", "--set", "pids.max=10")
      let result = try node.slicectl(
        "exec", "web", "--", "sh", "-c",
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 20 & done; wait")
      #expect(result.status != 0)
      #expect(result.errors.contains("fork"), "\(result)")
      #expect(Int(file(node, "web", "pids.peak")) ?? 0 <= 10)
    }
  }

  @Test(.requiresController("cpu")) func processorTimeIsBounded() throws {
    try withNode { node in
      try node.create("busy", "--set", "cpu.max=20%", command: ["sh", "-c", "while :; do :; done"])
      func usage() throws -> Double {
        try #require(try node.json("shares", "busy").array?.first?["cpu"]["usageSeconds"].number)
      }
      let (used, began) = (try usage(), MonotonicTime.now)
      sleep(6)
      let share = (try usage() - used) / (MonotonicTime.now - began)
      #expect(share > 0.1 && share < 0.3, "used \(share) of a processor")
      let throttled = try node.json("shares", "busy").array?.first?["cpu"]["throttledSeconds"]
        .number
      #expect(throttled ?? 0 > 1)
    }
  }

  @Test(.requiresController("io")) func theDeviceOfTheStorageIsBounded() throws {
    try withNode { node in
      // Without a block device behind the state there is nothing to bound, which is refused.
      let made = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "io.write.max=1M", "--", "sleep", "100000")
      guard made.status == 0 else {
        #expect(made.fails(5, "io.write.max"), "\(made)")
        return
      }
      #expect(
        file(node, "web", "io.max").contains("wbps=1048576"), "\(file(node, "web", "io.max"))")
      let began = MonotonicTime.now
      _ = try node.slicectl(
        "exec", "web", "--", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=5", "conv=fsync")
      #expect(MonotonicTime.now - began > 3)
    }
  }

  @Test(.requiresController("pids")) func aSliceDividesItsShareAndCannotRaiseIt() throws {
    try withNode { node in
      try node.create("web", "--set", "pids.max=40")
      #expect(try node.shell("web", "cat /proc/self/cgroup") == "0::/")
      #expect(try node.shell("web", "ls -d /sys/fs/cgroup/cgroup.procs") != "")
      #expect(
        try node.shell("web", "mkdir /sys/fs/cgroup/part && rmdir /sys/fs/cgroup/part && echo yes")
          == "yes")
      let raised = try node.slicectl(
        "exec", "web", "--", "sh", "-c", "echo max >/sys/fs/cgroup/pids.max")
      #expect(raised.status != 0)
      #expect(file(node, "web", "pids.max") == "40")
    }
  }

  @Test(.requiresController("pids")) func anExecutedCommandCountsToo() throws {
    try withNode { node in
      try node.create("web")
      func current() throws -> Int64 {
        try node.json("shares", "web").array?.first?["pids"]["current"].integer ?? 0
      }
      let before = try current()
      let command = try node.start("exec", "web", "--", "sleep", "5555")
      #expect(try eventually { try current() > before })
      command.signal(SIGTERM)
      #expect(try eventually { try current() == before })
    }
  }
}
