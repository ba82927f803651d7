import SliceModel
import SystemTestSupport
import Testing

/// Much coming and going leaves nothing.
@Suite(.requiresSlices) struct LeftoverTests {
  @Test func fiftyCyclesLeaveNothing() throws {
    try withNode { node in
      try node.create("first")
      try node.succeed("destroy", "--force", "first")
      let before = node.resources()
      for number in 0..<50 {
        try node.create("web", "--set", "pids.max=50")
        if number.isMultiple(of: 10) { _ = try node.execute("web", "true") }
        try node.succeed("destroy", "--force", "web")
      }
      #expect(node.change(since: before) == "")
    }
  }

  @Test func twentyAtOnceAllRun() throws {
    try withNode { node in
      let before = node.resources()
      let names = (0..<20).map { "s\($0)" }
      let creations = try names.map {
        try node.start("create", $0, "--image", "minimal", "--", "sleep", "100000")
      }
      for creation in creations {
        let result = creation.wait(seconds: 60)
        #expect(result.status == 0, "\(result)")
      }
      let slices = try node.json("list").array ?? []
      #expect(slices.count == 20)
      #expect(slices.allSatisfy { $0["state"] == .string("running") })
      #expect(Set(slices.compactMap { $0["ipv4"].string }).count == 20)
      #expect(Set(slices.compactMap { $0["ipv6"].string }).count == 20)
      let destructions = try names.map { try node.start("destroy", "--force", $0) }
      for destruction in destructions { #expect(destruction.wait(seconds: 60).status == 0) }
      #expect(node.change(since: before) == "")
    }
  }

  @Test func theSameNameAtOnceIsMadeOnce() throws {
    try withNode { node in
      let creations = try (0..<8).map { _ in
        try node.start("create", "web", "--image", "minimal", "--", "sleep", "100000")
      }
      let statuses = creations.map { $0.wait(seconds: 60).status }.sorted()
      #expect(statuses == [0, 1, 1, 1, 1, 1, 1, 1])
    }
  }

  @Test func clientsThatLeaveInTheMiddleLeaveNothing() throws {
    try withNode { node in
      let before = node.resources()
      for number in 0..<10 {
        let creation = try node.start(
          "create", "web", "--image", "minimal", "--", "sleep", "100000")
        _ = creation.wait(seconds: Double(number) * 0.004)  // which kills it
        // It was made entirely or not at all.
        let made = try eventually(within: 2) { try node.state(of: "web") == "running" }
        if made { try node.succeed("destroy", "--force", "web") }
      }
      #expect(node.change(since: before) == "")
    }
  }
}
