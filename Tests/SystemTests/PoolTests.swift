import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Namespaces and links that are there before their slices, and links that go after them.
@Suite(.requiresSlices) struct PoolTests {
  private func options(ready: Int, _ more: String = "") -> TestNode.Options {
    TestNode.Options(policy: "[network]\nready = \(ready)\n" + more)
  }

  /// Indices of the links on the host's side, by name.
  private func links(_ node: TestNode) throws -> [String: String] {
    let listed = try node.host.run(["ip", "-o", "link"]).output.split(separator: "\n")
    let pairs = listed.compactMap { line -> (String, String)? in
      let parts = line.split(separator: ":")
      let name = parts[1].drop { $0 == " " }.prefix { $0 != "@" }
      return name.hasPrefix("sl-") ? (String(name), String(parts[0])) : nil
    }
    return Dictionary(uniqueKeysWithValues: pairs)
  }

  private func link(_ node: TestNode, _ slice: String) throws -> String {
    try #require(try node.inspect(slice)["network"]["link"].string)
  }

  /// Whether the host gets an answer from an address, as busybox's ping says.
  private func answers(_ node: TestNode, _ address: String) throws -> Bool {
    try node.host.run([Host.programs + "/busybox", "ping", "-c", "1", "-W", "1", address]).status
      == 0
  }

  @Test func aNewSliceIsGivenWhatIsReadyAndMoreIsMade() throws {
    try withNode(options(ready: 3)) { node in
      #expect(try eventually { try links(node).count == 3 })
      let before = try links(node)
      try node.create("web")
      let own = try link(node, "web")
      #expect(try links(node)[own] == before[own], "\(own) was there already")
      #expect(try eventually { try links(node).count == 4 })
      #expect(try node.shell("web", "ip address show eth0").contains("172.31.128."))
      // Without a link of its own a slice takes none.
      try node.create("box", "--set", "net.mode=none")
      #expect(try links(node).count == 4)
    }
  }

  @Test func noneAreMadeWherePolicySaysSo() throws {
    try withNode(options(ready: 0)) { node in
      try node.create("web")
      #expect(try links(node).count == 1)
      #expect(try answers(node, "172.31.128.2"))
    }
  }

  @Test func aLinkWithoutItsSlicePassesNothing() throws {
    try withNode(options(ready: 2)) { node in
      #expect(try eventually { try links(node)["sl-0"] != nil })
      #expect(try !answers(node, "172.31.128.2"), "ready, and nobody's")
      try node.create("web")
      #expect(try link(node, "web") == "sl-0")
      #expect(try answers(node, "172.31.128.2"))
    }
  }

  /// Somebody from outside may hold a slice's network namespace beyond its end.
  @Test func aLinkThatIsHeldPassesNothingAndGoes() throws {
    try withNode(options(ready: 0)) { node in
      try node.create("web")
      let pid = try #require(try node.json("list").array?.first?["pid"].integer)
      #expect(try answers(node, "172.31.128.2"))
      let holder = try node.host.start(["nsenter", "-t", "\(pid)", "-n", "sleep", "4444"])
      defer {
        holder.signal(SIGKILL)
        _ = holder.wait(seconds: 5)
      }
      // The slice's own two processes, and the holder.
      let inside = "readlink /proc/[0-9]*/ns/net | grep -cxF \"$(readlink /proc/\(pid)/ns/net)\""
      #expect(try eventually { try node.host.run(["sh", "-c", inside]).output == "3\n" })
      try node.succeed("destroy", "--force", "web")
      #expect(try !answers(node, "172.31.128.2"))
      // Whoever comes now doesn't meet what is left of it.
      try node.create("next")
      #expect(try node.shell("next", "ip address show eth0").contains("172.31.128."))
      #expect(try eventually { try links(node).count == 1 }, "it is taken away all the same")
    }
  }

  @Test func aSliceStartsAgainAtOnceWithItsAddress() throws {
    try withNode(options(ready: 2)) { node in
      try node.create("web")
      for _ in 0..<5 {
        try node.succeed("stop", "web", "--timeout", "0")
        try node.succeed("start", "web")
        #expect(try link(node, "web") == "sl-0")
        #expect(try answers(node, "172.31.128.2"))
      }
    }
  }

  @Test func aCrashLeavesNoneBehind() throws {
    try withNode(options(ready: 3)) { node in
      try node.create("web")
      let before = node.resources()
      for _ in 0..<3 {
        node.crashSupervisor()
        try node.startSupervisor()
      }
      #expect(node.change(since: before) == "")
      #expect(try answers(node, "172.31.128.2"))
      #expect(!node.log.contains("event=orphan"), "what was kept ready is no news")
    }
  }

  @Test func theLastNumbersAreGivenOutToo() throws {
    try withNode(options(ready: 8, "[ids]\nranges = 3\n")) { node in
      // One of them has no link, although links are ready for all.
      try node.create("a", "--set", "net.mode=none")
      try node.create("b")
      try node.create("c")
      let full = try node.slicectl("create", "d", "--image", "minimal", "--", "sleep", "100000")
      #expect(full.fails(1, "all 3", "in use"), "\(full)")
      for _ in 0..<5 {
        try node.succeed("destroy", "--force", "c")
        try node.create("c")
      }
    }
  }

  @Test func refusedCreationsGiveBackWhatTheyTook() throws {
    try withNode(options(ready: 2, "[owners.\"*\"]\nslices = 1\n")) { node in
      try node.succeed("create", "own", "--image", "minimal", as: .alice)
      let before = node.resources()
      for _ in 0..<5 {
        let refused = try node.slicectl("create", "more", "--image", "minimal", as: .alice)
        #expect(refused.fails(4, "slices"), "\(refused)")
      }
      #expect(node.change(since: before) == "")
    }
  }
}
