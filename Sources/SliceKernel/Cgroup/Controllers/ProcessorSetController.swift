import SliceModel

/// cpuset: the processors that the slice may use. Empty: those of its parent.
struct ProcessorSetController: CgroupController {
  let name = "cpuset"

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    [CgroupSetting(.cpuSet, "cpuset.cpus", settings.cpuSet?.description ?? "\n")]
  }
}
