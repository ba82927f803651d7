import CKernel
import SliceKernel

/// What a slice's cgroup has counted up to a moment.
struct UsageSample: Sendable, Hashable {
  /// On the monotonic clock, nanoseconds.
  var at: UInt64
  /// Processor time, microseconds.
  var usage: UInt64
  /// Periods in which it wanted to run and had a ceiling, and those in which the ceiling stopped it
  /// (cgroup-v2.rst, cpu.stat); nil without a cpu controller.
  var periods: UInt64?
  var throttledPeriods: UInt64?
  /// Allocations slowed down by memory.high; nil without a memory controller.
  var memoryHigh: UInt64?
  /// Refused clones because of pids.max; nil without a pids controller.
  var processesRefused: UInt64?

  /// Nil for a cgroup that is not there any more.
  init?(of cgroup: Cgroup) {
    // Each is absent where its controller is.
    guard let cpu = try? CgroupCounts(cgroup, "cpu.stat"), let usage = cpu["usage_usec"] else {
      return nil
    }
    at = kernel_monotonic()
    self.usage = usage
    periods = cpu["nr_periods"]
    throttledPeriods = cpu["nr_throttled"]
    memoryHigh = (try? CgroupCounts(cgroup, "memory.events"))?["high"]
    processesRefused = (try? CgroupCounts(cgroup, "pids.events"))?["max"]
  }

  /// Processors used on average since `earlier`.
  func cores(since earlier: UsageSample) -> Double? {
    guard at > earlier.at, usage >= earlier.usage else { return nil }
    return Double(usage - earlier.usage) * 1000 / Double(at - earlier.at)
  }

  /// Whether its ceiling stopped it in most of the periods since `earlier`.
  func isThrottled(since earlier: UsageSample) -> Bool {
    guard let periods, let throttledPeriods, let before = earlier.periods,
      let throttledBefore = earlier.throttledPeriods, periods > before
    else { return false }
    return 2 * (throttledPeriods - min(throttledBefore, throttledPeriods)) >= periods - before
  }

  func isHeldByMemoryHigh(since earlier: UsageSample) -> Bool {
    (memoryHigh ?? 0) > (earlier.memoryHigh ?? 0)
  }

  func isRefusedProcesses(since earlier: UsageSample) -> Bool {
    (processesRefused ?? 0) > (earlier.processesRefused ?? 0)
  }
}
