import SliceModel

/// pids: processes and threads.
struct ProcessCountController: CgroupController {
  let name = "pids"

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    [CgroupSetting(.pidsMax, "pids.max", settings.count(.pidsMax).map { "\($0)" } ?? "max")]
  }
}
