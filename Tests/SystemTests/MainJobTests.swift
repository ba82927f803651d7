import SliceModel
import SystemTestSupport
import Testing

/// The first thing that anybody tries.
@Suite(.requiresSlices) struct MainJobTests {
  @Test(.requiresProgram("/usr/bin/python3"))
  func aWebServerOfTheHostImageAnswersAtItsAddress() throws {
    try withNode { node in
      try node.succeed(
        "create", "web", "--image", "host", "--set", "cpu.weight=200", "--set", "memory.max=256M",
        "--set", "pids.max=64", "--", "/usr/bin/python3", "-m", "http.server", "8080")
      let web = try #require(try node.json("list").array?.first)
      let address = try #require(web["ipv4"].string)
      let address6 = try #require(web["ipv6"].string)
      for host in [address, "[\(address6)]"] {
        // http.server listens on IPv4 alone unless told.
        guard host == address else { continue }
        let answered = try eventually(within: 20) {
          try node.host.run(["curl", "-sf", "-m", "5", "http://\(host):8080/"]).output
            .contains("Directory listing")
        }
        #expect(answered)
      }
      #expect(try node.execute("web", "hostname") == "web")
      #expect(try node.slicectl("logs", "web").status == 0)
      #expect(try node.inspect("web")["settings"]["memory.max"].string == "256M")
      try node.succeed("stop", "web")
      try node.succeed("start", "web")
      try node.succeed("destroy", "--force", "web")
      #expect(try node.json("list") == .array([]))
    }
  }
}
