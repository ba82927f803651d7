import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Who may see and touch what.
@Suite(.requiresSlices) struct OwnerTests {
  /// A group that every Debian has; its number is the same everywhere (base-passwd).
  private static let adminGroup = (name: "staff", id: UInt32(50))

  @Test func ownersSeeTheirOwnSlicesOnly() throws {
    try withNode { node in
      try node.succeed(
        "create", "hers", "--image", "minimal", "--", "sleep", "100000", as: .alice)
      try node.succeed("create", "his", "--image", "minimal", "--", "sleep", "100000", as: .bob)
      try node.create("roots")
      func names(_ user: TestUser) throws -> [String?] {
        try node.json("list", as: user).array?.map { $0["name"].string } ?? []
      }
      #expect(try names(.alice) == ["hers"])
      #expect(try names(.bob) == ["his"])
      #expect(try names(.root) == ["hers", "his", "roots"])
      #expect(try node.json("list", as: .alice).array?.first?["owner"] == .string("4242"))
      #expect(try node.json("shares", as: .bob).array?.count == 1)
      let seen = try node.json("events", as: .alice).array?.compactMap { $0["slice"].string } ?? []
      #expect(Set(seen) == ["hers"])
      #expect(try node.slicectl("exec", "hers", "--", "id", "-u", as: .alice).output == "0\n")
    }
  }

  @Test func anothersSliceIsRefused() throws {
    try withNode { node in
      try node.create("roots", "--set", "pids.max=60")
      let before = try node.inspect("roots")
      let verbs = [
        ["start", "roots"], ["stop", "roots"], ["restart", "roots"], ["kill", "roots"],
        ["pause", "roots"], ["resume", "roots"], ["destroy", "--force", "roots"],
        ["inspect", "roots"], ["logs", "roots"], ["logs", "-f", "roots"], ["wait", "roots"],
        ["shares", "roots"], ["enter", "roots"], ["exec", "roots", "--", "true"],
        ["set", "roots", "pids.max=50"],
      ]
      for verb in verbs {
        let result = try node.slicectl(verb, as: .alice)
        #expect(result.fails(4, "roots"), "\(verb): \(result)")
      }
      let duplicate = try node.slicectl("create", "roots", "--image", "minimal", as: .alice)
      #expect(duplicate.fails(1, "exists"), "\(duplicate)")
      let after = try node.inspect("roots")
      #expect(after["pid"] == before["pid"])
      #expect(after["settings"] == before["settings"])
    }
  }

  @Test func theEmergencyStopIsForAdministrators() throws {
    try withNode { node in
      try node.succeed("create", "hers", "--image", "minimal", "--", "sleep", "100000", as: .alice)
      let result = try node.slicectl("stop-all", as: .alice)
      #expect(result.fails(4, "administrator"), "\(result)")
      #expect(try node.state(of: "hers") == "running")
    }
  }

  @Test func theAdminGroupSeesAndTouchesAll() throws {
    let policy = TestNode.Options(policy: "admin-group = \"\(Self.adminGroup.name)\"\n")
    let admin = TestUser(Self.adminGroup.id)  // its primary group has the user's number
    try withNode(policy) { node in
      try node.create("roots")
      #expect(try node.json("list", as: admin).array?.count == 1)
      #expect(try node.slicectl("exec", "roots", "--", "true", as: admin).status == 0)
      #expect(try node.slicectl("stop", "roots", as: admin).status == 0)
      #expect(try node.slicectl("stop-all", as: admin).status == 0)
      #expect(try node.json("list", as: .alice) == .array([]))
    }
  }

  @Test func nobodyElseReadsStateOrRuntime() throws {
    try withNode { node in
      try node.succeed("create", "hers", "--image", "minimal", "--", "sleep", "100000", as: .alice)
      for path in ["\(node.state)/slices", "\(node.state)/images", "\(node.runtime)/running"] {
        let result = try node.host.run(["ls", path], as: .alice)
        #expect(result.status != 0, "\(path): \(result)")
      }
    }
  }
}
