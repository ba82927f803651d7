import Descriptor

/// How often a memory cgroup was out of memory since it was made (cgroup-v2.rst, "memory.events").
public struct MemoryEvents: Sendable, Hashable {
  /// Times that memory.max was reached and nothing could be reclaimed.
  public var outOfMemory: UInt64 = 0
  /// Processes killed for want of memory, whichever limit or host was short of it.
  public var kills: UInt64 = 0

  public init() {}

  /// - Parameter local: of this cgroup's own limit and processes alone, not of those below it.
  public init(of cgroup: Cgroup, local: Bool = false) throws(SystemError) {
    let counts = try CgroupCounts(cgroup, local ? "memory.events.local" : "memory.events")
    outOfMemory = counts["oom"] ?? 0
    kills = counts["oom_kill"] ?? 0
  }

  /// Of the cgroups below alone, with the counts of this cgroup's own. Two files are read one after the
  /// other, while the kernel counts: `own` may be ahead.
  public func outOfMemory(beside own: MemoryEvents) -> UInt64 {
    outOfMemory - min(own.outOfMemory, outOfMemory)
  }
}
