import SystemTestSupport
import Testing

extension ServiceTests {
  /// Services that make it hard for whoever runs them.
  @Suite struct Troublesome {
    /// Daemonises as textbooks say, and leaves twenty orphans that end one after the other: the
    /// first process collects them, the daemon is the service now.
    @Test(.requiresProgram("/usr/bin/python3")) func daemonThatLeavesZombies() throws {
      let program = """
        import os, time
        if os.fork(): os._exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        for number in range(20):
          child = os.fork()
          if child == 0:
            if os.fork() == 0:
              time.sleep(0.1)
            os._exit(0)
          os.waitpid(child, 0)
        # Not collected by its parent: the positive control.
        if os.fork() == 0: os._exit(0)
        print("serving", flush=True)
        while True: time.sleep(1)
        """
      try withNode { node in
        try node.succeed("create", "z", "--image", "host", "--", "python3", "-c", program)
        #expect(try eventually { try node.slicectl("logs", "z").output == "serving\n" })
        func zombies() throws -> Int {
          try node.processes(in: "z").count { $0.state.hasPrefix("Z") }
        }
        #expect(try eventually { try zombies() == 1 })
        #expect(try node.state(of: "z") == "running")
        try node.succeed("stop", "z")
        #expect(try node.state(of: "z") == "stopped")
      }
    }

    @Test func serviceThatIgnoresTerm() throws {
      try withNode { node in
        try node.succeed(
          "create", "deaf", "--image", "minimal", "--", "sh", "-c",
          "trap 'echo no' TERM; echo ready; while :; do sleep 0.1; done")
        #expect(try eventually { try node.slicectl("logs", "deaf").output == "ready\n" })
        let begin = MonotonicTime.now
        try node.succeed("stop", "--timeout", "1", "deaf")
        let took = MonotonicTime.now - begin
        #expect(took >= 0.9 && took < 6, "\(took) s")
        // It was asked first.
        #expect(try node.slicectl("logs", "deaf").output.contains("no\n"))
        #expect(try node.json("inspect", "deaf")["lastExit"]["signal"].integer == 9)
      }
    }

    @Test(arguments: [(0, "stopped"), (7, "failed")])
    func serviceThatExitsAtOnce(code: Int, state: String) throws {
      try withNode { node in
        // It was executed: that is what `create` answers.
        try node.succeed(
          "create", "short", "--image", "minimal", "--", "sh", "-c", "echo was here; exit \(code)")
        #expect(try node.slicectl("wait", "short").status == Int32(code))
        #expect(try node.state(of: "short") == state)
        #expect(try node.json("inspect", "short")["lastExit"]["exitCode"].integer == Int64(code))
        #expect(try node.slicectl("logs", "short").output == "was here\n")
        #expect(try node.slicectl("exec", "short", "--", "true").status == 125)
        try node.succeed("destroy", "short")
      }
    }

    /// An end that is noted while the slice is being removed must not be in its way.
    @Test func destroyedAsItEnds() throws {
      try withNode { node in
        for round in 1...30 {
          try node.succeed("create", "brief", "--image", "minimal", "--", "true")
          let result = try node.slicectl("destroy", "--force", "brief")
          #expect(result.status == 0, "round \(round): \(result)")
        }
      }
    }

    @Test func serviceThatIsRestarted() throws {
      try withNode { node in
        try node.succeed(
          "create", "again", "--image", "minimal", "--restart", "on-failure", "--", "sh", "-c",
          "echo run; exit 3")
        func restarts() throws -> Int64 {
          try node.json("inspect", "again")["restarts"].integer ?? -1
        }
        #expect(try eventually(within: 20) { try restarts() >= 2 })
        #expect(try node.state(of: "again") == "running")
        try node.succeed("set", "again", "restart=no")
        #expect(try node.reaches("failed", "again", within: 20))
        let runs = try node.slicectl("logs", "again").output.split(separator: "\n").count
        #expect(runs >= 3)
      }
    }

    /// 100 MB as fast as it can: the log keeps its bound, the newest stays, and whoever reads it
    /// makes neither the service wait for ever nor the supervisor grow.
    @Test func serviceThatPrintsAHundredMegabytes() throws {
      try withNode { node in
        try node.succeed(
          "create", "loud", "--image", "minimal", "--", "sh", "-c",
          "yes 0123456789012345678901234567890123456789012345678901234567890123456789 "
            + "| head -c 100000000; echo; echo the end; sleep 1000")
        let follower = try node.start("logs", "-f", "loud")
        #expect(
          try eventually(within: 200) {
            try node.slicectl("logs", "-n", "1", "loud").output == "the end\n"
          })
        #expect(try eventually(within: 60) { follower.output.hasSuffix("the end\n") })
        follower.signal(2)
        #expect(!follower.wait(seconds: 10).timedOut)

        let directory = node.state + "/slices/loud/log"
        let files = HostFiles.list(directory).filter { $0.hasPrefix("log") }
        let bytes = try Command.run(["du", "-sb", directory]).output.split(separator: "\t")[0]
        #expect(Int(bytes)! <= 56 << 20, "\(files): \(bytes) bytes")
        // All that is kept is shown, whole and in order.
        let shown = try node.slicectl("logs", "loud").output
        #expect(shown.utf8.count > 30_000_000)
        #expect(shown.hasSuffix("\nthe end\n"))
        #expect(try node.slicectl("logs", "-n", "3", "loud").output.hasSuffix("\nthe end\n"))
        let resident = try Footprint.residentKiB(of: node.supervisorPID, in: node)
        #expect(resident < 40_000, "sliced has \(resident) KiB")
      }
    }
  }
}
