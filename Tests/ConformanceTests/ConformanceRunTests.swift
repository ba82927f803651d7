import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// The suite as a person or a CI runs it: on a real supervisor, with what it leaves behind.
@Suite(.requiresSlices) struct ConformanceRunTests {
  @Test func everythingHoldsAndNothingIsLeft() throws {
    try withNode { node in
      // Of its own, because other tests run the suite meanwhile.
      let place = node.directory + "/tmp"
      #expect(mkdir(place, 0o755) == 0)
      let result = try node.slicectl(
        "conformance", "--format", "tap", environment: ["TMPDIR=\(place)"], timeout: 400)
      #expect(result.status == 0, "\(result)")
      let bad = result.output.split(separator: "\n").filter { $0.hasPrefix("not ok") }
      #expect(bad.isEmpty, "\(bad)")
      let passed = result.output.split(separator: "\n").filter {
        $0.hasPrefix("ok") && !$0.contains("# SKIP")
      }
      #expect(passed.count > 150, "\(result)")
      #expect(try node.json("list") == .array([]))
      #expect(try node.json("image", "list").array?.count == 2)
      #expect(HostFiles.list(place).isEmpty)
    }
  }

  @Test func isInterruptedCleanly() throws {
    try withNode { node in
      for signal in [SIGINT, SIGTERM] {
        let running = try node.start("conformance")
        #expect(try eventually(within: 30) { try node.json("list").array?.isEmpty == false })
        running.signal(signal)
        let result = running.wait(seconds: 60)
        #expect(result.status == 128 + signal && result.output.isEmpty, "\(result)")
        #expect(try node.json("list") == .array([]))
        #expect(try node.json("image", "list").array?.count == 2)
      }
    }
  }

  /// Another's slices, whatever they are called, are neither used nor removed.
  @Test func touchesNoOthers() throws {
    try withNode { node in
      try node.succeed("create", "conformance-1", "--image", "minimal", "--", "sleep", "100000")
      let before = try node.json("list").array?.first
      let result = try node.slicectl(
        "conformance", "--only", "identity", "--only", "descriptor", timeout: 200)
      #expect(result.status == 0, "\(result)")
      #expect(try node.json("list").array?.first == before)
    }
  }

  /// An owner without root gets fewer controls and no wrong verdicts.
  @Test func ownersRunItToo() throws {
    try withNode { node in
      let result = try node.slicectl(
        "conformance", "--format", "json", "--only", "mount", "--only", "identity", as: .alice,
        timeout: 200)
      let value = try JSONValue(parsing: result.outputBytes)
      #expect(result.status == 0 && value["failed"] == .integer(0), "\(result)")
    }
  }

  @Test func usageIsChecked() throws {
    try withNode { node in
      let none = try node.slicectl("conformance", "--only", "nothing")
      #expect(none.status == 2 && none.errors.contains("--list"), "\(none)")
      let list = try node.json("conformance", "--list", "--only", "mount.*").array ?? []
      #expect(list.count > 5 && list.allSatisfy { $0["id"].string?.hasPrefix("mount.") == true })
    }
  }
}
