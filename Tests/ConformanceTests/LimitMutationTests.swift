import SliceConformance
import SystemTestSupport
import Testing

/// Slices whose limits are asked for, shown, and not written: in the lab where this host holds none.
@Suite(
  .requiresSlices, .requiresController("memory"), .requiresController("pids"),
  .requiresController("cpu"), .serialized)
struct LimitMutationTests {
  static let rows: [(Mutation, run: [String], failing: Set<String>)] = [
    (
      Mutation("memory-limit", .cgroupLimits), ["resource.memory*", "resource.processes"],
      [
        "resource.memory", "resource.memory-files", "resource.memory-pipes",
        "resource.memory-sockets", "resource.memory-tables",
      ]
    ),
    (
      Mutation("process-count", .cgroupLimits), ["resource.memory", "resource.processes"],
      ["resource.processes"]
    ),
    (Mutation("weight", .weights), ["share.processor"], ["share.processor"]),
    (
      Mutation("shared-limits", .ownLimits), ["resource.accounts"], ["resource.accounts"]
    ),
    (
      Mutation("quota", .diskQuota), ["resource.disk", "resource.files"],
      ["resource.disk", "resource.files"]
    ),
  ]

  @Test func eachIsNoticedByItsCases() throws {
    for row in Self.rows {
      let plain = try Verdicts(nil, row.run)
      #expect(plain.isGood, "\(plain.failed)")
      let found = try Verdicts(row.0, row.run)
      row.0.judge(found)
      // What this kernel can't hold at all it doesn't lose either.
      #expect(found.failed == row.failing.intersection(plain.passed), "\(row.0)")
    }
  }
}
