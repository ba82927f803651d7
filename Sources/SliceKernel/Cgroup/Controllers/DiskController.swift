import SliceModel

/// io: share by weight (where the kernel has io.cost or BFQ), ceilings in bytes and operations a
/// second for the device that holds the slices' storage.
struct DiskController: CgroupController {
  let name = "io"

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    var result = [
      CgroupSetting(.ioWeight, "io.weight", "default \(settings.count(.ioWeight) ?? 100)")
    ]
    guard let device else { return result }
    func line(_ key: Key, _ word: String, _ value: UInt64?) -> CgroupSetting {
      CgroupSetting(key, "io.max", "\(device) \(word)=\(value.map { "\($0)" } ?? "max")")
    }
    result += [
      line(.ioReadMax, "rbps", settings.bytes(.ioReadMax)),
      line(.ioWriteMax, "wbps", settings.bytes(.ioWriteMax)),
      line(.ioReadIopsMax, "riops", settings.count(.ioReadIopsMax)),
      line(.ioWriteIopsMax, "wiops", settings.count(.ioWriteIopsMax)),
    ]
    return result
  }
}
