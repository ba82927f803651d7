import SystemTestSupport
import Testing

@Suite(.requiresSlices) struct HarnessTests {
  @Test func aNodeServesAndLeavesNothing() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "minimal", "--", "sleep", "1000")
      #expect(try node.state(of: "web") == "running")
      #expect(try node.execute("web", "hostname") == "web")
    }
  }
}
