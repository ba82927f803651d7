import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Memory: ceilings, floors, and what is said when there is not enough. In the lab where this
/// machine's cgroup v2 has no memory controller.
@Suite(.requiresSlices, .requiresController("memory")) struct MemoryTests {
  /// Doubles a shell variable until the kernel objects.
  private static let glutton = "x=0123456789abcdef; while :; do x=$x$x; done"

  private func bytes(_ node: TestNode, _ file: String) throws -> UInt64 {
    try #require(UInt64(HostFiles.text("\(node.cgroup)/\(file)").filter(\.isNumber)))
  }

  private func events(_ node: TestNode, _ kind: String) throws -> [JSONValue] {
    try node.json("events").array?.filter { $0["kind"].string == kind } ?? []
  }

  // MARK: - Want of memory is recognised

  @Test func aServiceKilledForWantOfMemoryIsToldApartFromAPlain137() throws {
    try withNode { node in
      try node.create(
        "glutton", "--set", "memory.max=16M", "--set", "memory.swap.max=0",
        command: ["sh", "-c", Self.glutton])
      try node.create("killed", command: ["sh", "-c", "kill -KILL $$"])
      try node.create("says137", command: ["sh", "-c", "exit 137"])
      for name in ["glutton", "killed", "says137"] {
        #expect(try node.reaches("failed", name, within: 60))
      }
      let glutton = try node.inspect("glutton")
      #expect(glutton["lastExit"]["outOfMemory"] == .bool(true))
      #expect(glutton["outOfMemory"]["limit"] == .string("slice"))
      #expect(glutton["outOfMemory"]["limitBytes"] == .integer(16 << 20))
      let peak = try #require(glutton["outOfMemory"]["peakBytes"].integer)
      #expect(peak > 8 << 20 && peak <= 16 << 20)
      for name in ["killed", "says137"] {
        let other = try node.inspect(name)
        #expect(other["lastExit"]["outOfMemory"] == .bool(false), "\(name)")
        #expect(other["outOfMemory"] == .null, "\(name)")
      }
      #expect(try node.succeed("list").contains("memory.max=16M is reached"))
      let told = try events(node, "out-of-memory")
      #expect(told.map { $0["slice"].string } == ["glutton"])
      #expect(told.first?["details"]["reason"].string?.contains("memory.max=16M") == true)
      let waited = try node.slicectl("wait", "glutton")
      #expect(waited.status == 137 && waited.output.contains("memory.max=16M"), "\(waited)")
    }
  }

  /// A process on its way in is in the slice's cgroup before it is the slice's program. Where the kernel
  /// kills it for memory, all that share its memory are killed with it.
  @Test func enteringASliceWithoutMemoryDoesNotHarmTheSupervisor() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe(
        "full", ["memory.max=8M", "memory.swap.max=0"], "/bin/sh", "-c",
        "while :; do sleep 1000; done")
      let supervisor = try #require(node.supervisorPID)
      for _ in 0..<6 {
        if try node.state(of: "full") != "running" { try node.succeed("start", "full") }
        // Sockets: memory of the kernel's, so that whoever holds it is not the largest process.
        let visitors = try (0..<8).map { _ in
          try node.start("exec", "full", "--", "/bin/load", "sockets", "400")
        }
        for visitor in visitors { _ = visitor.wait(seconds: 20) }
        try #require(node.supervisorPID == supervisor)
      }
      #expect(try !events(node, "out-of-memory").isEmpty, "nobody was short of memory")
    }
  }

  @Test func aCommandKilledForWantOfMemorySaysSo() throws {
    try withNode { node in
      try node.create("web", "--set", "memory.max=16M", "--set", "memory.swap.max=0")
      let result = try node.slicectl("exec", "web", "--", "sh", "-c", Self.glutton)
      #expect(result.status == 137)
      #expect(result.errors.contains("out of memory: memory.max=16M"), "\(result)")
      #expect(try node.state(of: "web") == "running")
      let plain = try node.slicectl("exec", "web", "--", "sh", "-c", "sleep 6; kill -KILL $$")
      #expect(plain.status == 137 && !plain.errors.contains("out of memory"), "\(plain)")
    }
  }

  @Test func aLimitThatTheSliceSetItselfIsItsOwn() throws {
    try withNode { node in
      // Its processes leave the cgroup that it wants to divide.
      let service = """
        cd /sys/fs/cgroup; mkdir rest small; echo 1 >rest/cgroup.procs; echo $$ >rest/cgroup.procs
        echo +memory >cgroup.subtree_control
        echo 8388608 >small/memory.max; echo 0 >small/memory.swap.max
        sh -c 'echo $$ >small/cgroup.procs; \(Self.glutton)'; sleep 100000
        """
      try node.create(
        "web", "--set", "memory.max=256M", "--set", "memory.swap.max=0",
        command: ["sh", "-c", service])
      #expect(try eventually { try !events(node, "out-of-memory").isEmpty })
      #expect(try node.inspect("web")["outOfMemory"]["limit"] == .string("inside"))
    }
  }

  @Test func whatHappenedWhileTheSupervisorWasAwayIsToldToo() throws {
    try withNode { node in
      try node.create(
        "glutton", "--set", "memory.max=16M", "--set", "memory.swap.max=0",
        command: ["sh", "-c", "sleep 3; \(Self.glutton)"])
      node.crashSupervisor()
      sleep(6)
      try node.startSupervisor()
      #expect(try node.state(of: "glutton") == "failed")
      // Its cgroup goes with the run: what it counted was read before that.
      #expect(try node.inspect("glutton")["lastExit"]["outOfMemory"] == .bool(true))
    }
  }

  /// As the kernel does for want of memory that no other process holds: a full tmpfs, sockets.
  @Test func aSliceWhoseInitIsKilledIsStartedAgainByItsPolicy() throws {
    try withNode { node in
      for policy in ["no", "always"] {
        try node.create(policy, "--restart", policy)
        let pid = try #require(try node.inspect(policy)["pid"].integer)
        #expect(try node.host.run(["kill", "-KILL", "\(pid)"]).status == 0)
      }
      #expect(try node.reaches("failed", "no", within: 30))
      func revived() throws -> Bool {
        try node.json("events").array?.contains {
          $0["slice"].string == "always" && $0["kind"].string == "started"
            && $0["by"].string == "restart policy"
        } ?? false
      }
      #expect(try eventually(within: 30, revived))
      try node.succeed("stop", "always", "--timeout", "1")
      sleep(5)
      #expect(try node.state(of: "always") == "stopped", "a stop ends it for good")
      #expect(try node.state(of: "no") == "failed")
    }
  }

  // MARK: - Ceilings

  /// What can use memory up, and stays within the ceiling each.
  @Test(arguments: [
    ("anonymous", glutton),
    ("tmpfs", "dd if=/dev/zero of=/tmp/big bs=1M count=200"),
    ("shared memory", "dd if=/dev/zero of=/dev/shm/big bs=1M count=200"),
    ("page cache", "dd if=/dev/zero of=/big bs=1M count=200; cat /big >/dev/null"),
  ])
  func aBombStaysWithinAndItsNeighbourGoesOn(kind: String, bomb: String) throws {
    try withNode { node in
      try node.create(
        "bomb", "--set", "memory.max=64M", "--set", "memory.swap.max=0",
        command: ["sleep", "100000"])
      try node.create("calm", command: ["sh", "-c", "while :; do :; done"])
      _ = try node.slicectl("exec", "bomb", "--", "sh", "-c", bomb)
      #expect(try bytes(node, "bomb/memory.peak") <= 64 << 20)
      #expect(try bytes(node, "bomb/memory.peak") > 48 << 20, "the bomb reached the ceiling")
      #expect(try node.state(of: "calm") == "running")
      #expect(try node.state(of: "bomb") == "running", "slice-init is not what is killed")
    }
  }

  // MARK: - Floors

  /// A neighbour makes all slices together meet their parent's ceiling: who has a floor keeps what it
  /// has in memory, who has none loses it.
  @Test(arguments: [true, false])
  func aFloorKeepsWhatIsInMemory(protected: Bool) throws {
    try withNode { node in
      let floor = protected ? ["--set", "memory.min=48M"] : []
      let made = try node.slicectl(
        ["create", "keeper", "--image", "minimal"] + floor + ["--", "sleep", "100000"])
      #expect(made.status == 0, "\(made)")
      _ = try node.shell(
        "keeper", "dd if=/dev/zero of=/cache bs=1M count=40; sync; cat /cache >/dev/null")
      let before = try bytes(node, "keeper/memory.current")
      #expect(before > 36 << 20)
      try node.create("hungry", "--set", "memory.swap.max=0")
      try HostFiles.write("\(128 << 20)", to: node.cgroup + "/memory.max")
      defer { try? HostFiles.write("max", to: node.cgroup + "/memory.max") }
      _ = try node.slicectl(
        "exec", "hungry", "--", "sh", "-c",
        "for i in 1 2 3; do dd if=/dev/zero of=/big$i bs=1M count=150; cat /big$i >/dev/null; done")
      let after = try bytes(node, "keeper/memory.current")
      if protected {
        #expect(after > before - 4 << 20, "kept \(after >> 20) of \(before >> 20) MiB")
      } else {
        #expect(after < before / 2, "kept \(after >> 20) of \(before >> 20) MiB")
      }
    }
  }

  @Test func allSlicesTogetherAreHeldToTheNodesCeilings() throws {
    let policy = """
      [total]
      cpu = "150%"
      memory = "600M"
      pids = 700
      """
    try withNode(TestNode.Options(policy: policy)) { node in
      #expect(HostFiles.text(node.cgroup + "/cpu.max") == "150000 100000\n")
      #expect(try bytes(node, "memory.max") == 600 << 20)
      #expect(try bytes(node, "pids.max") == 700)
      // One without a ceiling of its own.
      try node.create("web")
      try HostFiles.write("\(48 << 20)", to: node.cgroup + "/memory.max")
      _ = try node.slicectl("exec", "web", "--", "sh", "-c", Self.glutton)
      #expect(try eventually { try !events(node, "out-of-memory").isEmpty })
      #expect(try node.inspect("web")["outOfMemory"]["limit"] == .string("node"))
    }
  }

  @Test func theCgroupAboveProtectsTheSumOfTheFloors() throws {
    try withNode { node in
      try node.create("a", "--set", "memory.min=16M")
      try node.create("b", "--set", "memory.min=8M", "--set", "memory.low=24M")
      #expect(try bytes(node, "memory.min") == 24 << 20)
      #expect(try bytes(node, "memory.low") == 24 << 20)
      try node.succeed("set", "a", "memory.min=32M")
      #expect(try bytes(node, "memory.min") == 40 << 20)
      node.crashSupervisor()
      try HostFiles.write("0", to: node.cgroup + "/memory.min")
      try node.startSupervisor()
      #expect(try bytes(node, "memory.min") == 40 << 20)
      try node.succeed("destroy", "a", "--force")
      #expect(try bytes(node, "memory.min") == 8 << 20)
    }
  }

  // MARK: - Lowering a ceiling

  @Test func aLowerCeilingReclaimsFirst() throws {
    try withNode { node in
      try node.create("web", "--set", "memory.max=128M", "--set", "memory.high=100M")
      _ = try node.shell("web", "dd if=/dev/zero of=/cache bs=1M count=60; sync")
      #expect(try bytes(node, "web/memory.current") > 48 << 20)
      let said = try node.succeed("set", "web", "memory.high=30M", "memory.max=32M")
      #expect(said.contains("reclaimed first"), "\(said)")
      #expect(try bytes(node, "web/memory.max") == 32 << 20)
      #expect(try bytes(node, "web/memory.high") == 30 << 20)
      #expect(try bytes(node, "web/memory.current") <= 32 << 20)
      #expect(try events(node, "out-of-memory").isEmpty)
    }
  }

  @Test func aCeilingBelowWhatCannotBeReclaimedChangesNothing() throws {
    try withNode { node in
      try node.create(
        "web", "--set", "memory.max=128M", "--set", "memory.swap.max=0")
      _ = try node.shell("web", "dd if=/dev/zero of=/tmp/held bs=1M count=60")
      let result = try node.slicectl("set", "web", "cpu.weight=7", "memory.max=32M")
      #expect(result.fails(1, "memory.max=32M", "in use", "nothing was changed"), "\(result)")
      #expect(try bytes(node, "web/memory.max") == 128 << 20)
      #expect(HostFiles.text("\(node.cgroup)/web/memory.high") == "max\n")
      #expect(try node.inspect("web")["settings"]["cpu.weight"] == .null)
      #expect(try node.state(of: "web") == "running")
      #expect(try events(node, "out-of-memory").isEmpty)
    }
  }
}
