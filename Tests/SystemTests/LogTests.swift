import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// `logs` and `events`.
@Suite(.requiresSlices) struct LogTests {
  @Test func streamsStaySeparate() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "echo out; echo err >&2"])
      #expect(try node.reaches("stopped", "web"))
      let result = try node.slicectl("logs", "web")
      #expect(result.output == "out\n")
      #expect(result.errors == "err\n")
      let entries = try node.json("logs", "web").array ?? []
      #expect(entries.allSatisfy { $0.keys == ["time", "stream", "text", "partial"] })
      #expect(Set(entries.compactMap { $0["stream"].string }) == ["stdout", "stderr"])
    }
  }

  @Test func linesCanBeLimited() throws {
    try withNode { node in
      try node.create("web", command: ["seq", "1", "100"])
      #expect(try node.reaches("stopped", "web"))
      #expect(try node.succeed("logs", "web", "-n", "3") == "98\n99\n100\n")
      #expect(try node.succeed("logs", "web", "-n", "0") == "")
      let all = try node.succeed("logs", "web").split(separator: "\n")
      #expect(all.count == 100)
    }
  }

  @Test func sinceLeavesOutTheOlder() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "echo old; sleep 2.5; echo new; sleep 1000"])
      #expect(try eventually { try node.succeed("logs", "web").contains("new") })
      let recent = try node.succeed("logs", "web", "--since", "1s")
      #expect(!recent.contains("old"))
      #expect(try node.succeed("logs", "web", "--since", "1h").contains("old"))
      let bad = try node.slicectl("logs", "web", "--since", "yesterdayish")
      #expect(bad.status == 2)
    }
  }

  @Test func followingShowsWhatComes() throws {
    try withNode { node in
      try node.create(
        "web", command: ["sh", "-c", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.1; done"])
      let follower = try node.start("logs", "-f", "web")
      #expect(eventually { follower.output.contains("line 8\n") })
      follower.signal(SIGINT)
      let result = follower.wait(seconds: 10)
      #expect(!result.timedOut)
      let lines = result.output.split(separator: "\n")
      #expect(lines == (1...lines.count).map { "line \($0)" })
      #expect(!node.log.contains("level=error"), "to leave is no error")
    }
  }

  @Test func theLogOutlivesTheRun() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "echo first; sleep 1000"])
      #expect(try eventually { try node.succeed("logs", "web").contains("first") })
      try node.succeed("restart", "web")
      #expect(
        try eventually {
          try node.succeed("logs", "web").split(separator: "\n").filter { $0 == "first" }.count == 2
        })
    }
  }

  @Test func eventsTellTheStory() throws {
    try withNode { node in
      let follower = try node.start("--json", "events", "-f")
      usleep(300_000)
      try node.create("web")
      try node.succeed("stop", "web")
      try node.succeed("destroy", "web")
      let entries = try node.json("events").array ?? []
      #expect(entries.allSatisfy { $0.keys == ["time", "slice", "kind", "by", "details"] })
      let kinds = entries.filter { $0["slice"] == .string("web") }.compactMap { $0["kind"].string }
      #expect(kinds == ["created", "started", "ended", "destroyed"])
      #expect(entries.first?["by"] == .string("root"))
      #expect(eventually { follower.output.contains("destroyed") })
      follower.signal(SIGINT)
      for line in follower.wait(seconds: 10).output.split(separator: "\n") {
        _ = try JSONValue(parsing: Array(line.utf8))
      }
    }
  }
}
