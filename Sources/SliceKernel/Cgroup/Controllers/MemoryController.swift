import SliceModel

/// memory: floor, protection, throttle and ceiling, in bytes.
///
/// Floors are written to the slice's own cgroup as well: the kernel protects a cgroup's memory only as
/// far as each on the way down says so, unless the hierarchy is mounted with memory_recursiveprot
/// (cgroup-v2.rst).
struct MemoryController: CgroupController {
  let name = "memory"

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    func floor(_ key: Key) -> String { "\(settings.bytes(key) ?? 0)" }
    func ceiling(_ key: Key) -> String { settings.bytes(key).map { "\($0)" } ?? "max" }
    return [
      CgroupSetting(.memoryMin, "memory.min", floor(.memoryMin)),
      CgroupSetting(.memoryLow, "memory.low", floor(.memoryLow)),
      CgroupSetting(.memoryHigh, "memory.high", ceiling(.memoryHigh)),
      CgroupSetting(.memorySwapMax, "memory.swap.max", ceiling(.memorySwapMax)),
      CgroupSetting(.memoryMax, "memory.max", ceiling(.memoryMax)),
      CgroupSetting(.memoryMin, SliceCgroup.inner + "/memory.min", floor(.memoryMin)),
      CgroupSetting(.memoryLow, SliceCgroup.inner + "/memory.low", floor(.memoryLow)),
    ]
  }
}
