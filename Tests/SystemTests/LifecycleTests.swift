import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// States, and the verbs that lead from one to the next.
@Suite(.requiresSlices) struct LifecycleTests {
  @Test func statesFollowTheVerbs() throws {
    try withNode { node in
      try node.create("web", "--no-start")
      #expect(try node.state(of: "web") == "created")
      try node.succeed("start", "web")
      #expect(try node.state(of: "web") == "running")
      try node.succeed("pause", "web")
      #expect(try node.state(of: "web") == "paused")
      try node.succeed("resume", "web")
      #expect(try node.state(of: "web") == "running")
      try node.succeed("stop", "web")
      #expect(try node.state(of: "web") == "stopped")
      try node.succeed("start", "web")
      #expect(try node.state(of: "web") == "running")
      try node.succeed("stop", "web")
      try node.succeed("destroy", "web")
      #expect(try node.state(of: "web") == nil)
    }
  }

  @Test func aServiceThatFailsMakesTheSliceFailed() throws {
    try withNode { node in
      try node.create("bad", command: ["sh", "-c", "exit 3"])
      #expect(try node.reaches("failed", "bad"))
      let exit = try node.inspect("bad")["lastExit"]
      #expect(exit["exitCode"] == .integer(3))
      #expect(exit["signal"] == .null)
      #expect(exit["stopped"] == .bool(false))
    }
  }

  @Test func aServiceThatEndsWellLeavesTheSliceStopped() throws {
    try withNode { node in
      try node.create("once", command: ["true"])
      #expect(try node.reaches("stopped", "once"))
      #expect(try node.inspect("once")["lastExit"]["exitCode"] == .integer(0))
    }
  }

  @Test func withoutACommandTheSliceWaitsToBeEntered() throws {
    try withNode { node in
      try node.succeed("create", "box", "--image", "minimal")
      #expect(try node.state(of: "box") == "running")
      #expect(try node.execute("box", "hostname") == "box")
    }
  }

  @Test func stopSendsTheServiceATerm() throws {
    try withNode { node in
      try node.create(
        "polite",
        command: ["sh", "-c", "trap 'echo goodbye; exit 0' TERM; while :; do sleep 0.1; done"])
      try node.succeed("stop", "polite")
      #expect(try node.succeed("logs", "polite").contains("goodbye"))
    }
  }

  @Test func stopKillsWhatIgnoresTermAfterItsTimeout() throws {
    try withNode { node in
      try node.create(
        "stubborn", command: ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"])
      #expect(try eventually { try node.succeed("logs", "stubborn").contains("deaf") })
      let began = MonotonicTime.now
      try node.succeed("stop", "--timeout", "1", "stubborn")
      let took = MonotonicTime.now - began
      #expect(took >= 0.9 && took < 8, "took \(took) s")
      #expect(try node.state(of: "stubborn") == "stopped")
    }
  }

  @Test func stopOfAPausedSliceWorks() throws {
    try withNode { node in
      try node.create("web")
      try node.succeed("pause", "web")
      try node.succeed("stop", "--timeout", "2", "web")
      #expect(try node.state(of: "web") == "stopped")
    }
  }

  @Test func stoppingTwiceIsFine() throws {
    try withNode { node in
      try node.create("web")
      try node.succeed("stop", "web")
      try node.succeed("stop", "web")
    }
  }

  @Test func restartGivesANewProcess() throws {
    try withNode { node in
      try node.create("web")
      let before = try node.json("list").array?.first?["pid"].integer
      try node.succeed("restart", "web")
      let after = try node.json("list").array?.first?["pid"].integer
      #expect(before != nil && after != nil && before != after)
    }
  }

  @Test func killSendsTheSignalNamed() throws {
    try withNode { node in
      try node.create(
        "web",
        command: [
          "sh", "-c", "trap 'echo got-usr1' USR1; echo ready; while :; do sleep 0.05; done",
        ])
      #expect(try eventually { try node.succeed("logs", "web").contains("ready") })
      for signal in ["USR1", "SIGUSR1", "10"] {
        try node.succeed("kill", "--signal", signal, "web")
      }
      #expect(try eventually { try node.succeed("logs", "web").contains("got-usr1") })
      try node.succeed("kill", "--signal", "KILL", "web")
      #expect(try node.reaches("failed", "web"))
      #expect(try node.inspect("web")["lastExit"]["signal"] == .integer(9))
    }
  }

  @Test func aPausedSliceMakesNoProgress() throws {
    try withNode { node in
      try node.create(
        "ticker", command: ["sh", "-c", "while :; do echo tick; sleep 0.02; done"])
      #expect(try eventually { try node.succeed("logs", "ticker").contains("tick") })
      try node.succeed("pause", "ticker")
      usleep(200_000)  // what was in the pipe is in the log now
      let log = "\(node.state)/slices/ticker/log"
      let size = { HostFiles.tree(log).map { HostFiles.text($0).utf8.count }.reduce(0, +) }
      let before = size()
      usleep(500_000)
      #expect(size() == before)
      try node.succeed("resume", "ticker")
      #expect(eventually { size() > before })
    }
  }

  @Test func destroyOfARunningSliceNeedsForce() throws {
    try withNode { node in
      try node.create("web")
      let refused = try node.slicectl("destroy", "web")
      #expect(refused.fails(1, "web", "running", "--force"), "\(refused)")
      #expect(try node.state(of: "web") == "running")
      try node.succeed("destroy", "--force", "web")
    }
  }

  @Test func verbsTakeSeveralNamesAndGoOnAfterAFailure() throws {
    try withNode { node in
      try node.create("a")
      try node.create("b")
      let result = try node.slicectl("stop", "a", "missing", "b")
      #expect(result.status == 3)
      #expect(result.errors.contains("missing"))
      #expect(try node.state(of: "a") == "stopped")
      #expect(try node.state(of: "b") == "stopped")
      try node.succeed("destroy", "a", "b")
    }
  }

  @Test func stopAllEndsEverySliceWithinASecond() throws {
    try withNode { node in
      for name in ["a", "b", "c"] {
        try node.create(
          name, "--restart", "always", command: ["sh", "-c", "trap '' TERM; sleep 9999"])
      }
      let began = MonotonicTime.now
      #expect(try node.json("stop-all")["stopped"] == .integer(3))
      // In the lab everything takes longer than outside.
      #expect(MonotonicTime.now - began < (Host.enforcesLimits ? 5 : 1))
      for name in ["a", "b", "c"] { #expect(try node.state(of: name) == "stopped") }
    }
  }

  @Test func waitGivesTheStatusOfTheService() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "sleep 0.3; exit 7"])
      #expect(try node.slicectl("wait", "web").status == 7)
      try node.create("shot")
      let waiting = try node.start("wait", "shot")
      usleep(200_000)
      try node.succeed("kill", "--signal", "TERM", "shot")
      #expect(waiting.wait(seconds: 20).status == 128 + SIGTERM)
      #expect(try node.slicectl("wait", "shot").status == 128 + SIGTERM)
    }
  }
}

/// What happens when the service ends by itself.
@Suite(.requiresSlices) struct RestartPolicyTests {
  private func restarts(_ node: TestNode, _ name: String) throws -> Int64 {
    try node.json("list").array?.first { $0["name"].string == name }?["restarts"].integer ?? 0
  }

  @Test func alwaysStartsAgainAfterSuccess() throws {
    try withNode { node in
      try node.create("web", "--restart", "always", command: ["sh", "-c", "echo run; sleep 0.1"])
      #expect(try eventually(within: 20) { try restarts(node, "web") >= 2 })
      #expect(try node.state(of: "web") == "running")
    }
  }

  @Test func onFailureStartsAgainAfterAFailureOnly() throws {
    try withNode { node in
      try node.create("bad", "--restart", "on-failure", command: ["sh", "-c", "sleep 0.1; exit 1"])
      try node.create("good", "--restart", "on-failure", command: ["sh", "-c", "sleep 0.1"])
      #expect(try eventually(within: 20) { try restarts(node, "bad") >= 1 })
      #expect(try node.reaches("stopped", "good"))
    }
  }

  @Test func noIsTheDefault() throws {
    try withNode { node in
      try node.create("bad", command: ["false"])
      #expect(try node.reaches("failed", "bad"))
      #expect(try node.inspect("bad")["restart"] == .string("no"))
    }
  }

  @Test func thePolicyOfARunningSliceCanBeChanged() throws {
    try withNode { node in
      try node.create("web", "--restart", "always", command: ["sh", "-c", "sleep 0.3; exit 4"])
      try node.succeed("set", "web", "restart=no")
      #expect(try node.reaches("failed", "web"))
      #expect(try node.inspect("web")["lastExit"]["exitCode"] == .integer(4))
    }
  }

  @Test func stopEndsAServiceThatWouldStartAgain() throws {
    try withNode { node in
      try node.create("web", "--restart", "always", command: ["sh", "-c", "sleep 0.05"])
      #expect(try eventually { try restarts(node, "web") >= 1 })
      try node.succeed("stop", "web")
      #expect(try node.state(of: "web") == "stopped")
    }
  }
}
