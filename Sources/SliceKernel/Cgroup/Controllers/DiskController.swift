import SliceModel

/// io: share by weight (where the kernel has io.cost or BFQ), ceilings in bytes and operations a
/// second for the device that holds the slices' storage.
struct DiskController: CgroupController {
  let name = "io"

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    guard let device else { return [] }
    var result: [CgroupSetting] = []
    let weight = settings.count(.ioWeight) ?? 100
    switch device.weights {
    case .cost: result.append(CgroupSetting(.ioWeight, "io.weight", "default \(weight)"))
    case .bfq: result.append(CgroupSetting(.ioWeight, "io.bfq.weight", "default \(weight)"))
    case .none: break
    }
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

  func gap(_ key: Key, _ settings: Settings, device: BlockDevice?) -> EnforcementGap? {
    guard let device else {
      return EnforcementGap(
        key,
        missing: "the slices' storage is on no block device, which alone the io controller knows",
        remedy: "keep the state directory on a disk")
    }
    guard key == .ioWeight else { return nil }
    switch device.weights {
    case .cost: return nil
    case .bfq:
      guard settings.count(.ioWeight) ?? 100 > 1000 else { return nil }
      return EnforcementGap(
        key, missing: "the BFQ scheduler of device \(device) takes weights from 1 to 1000")
    case .none(let remedy):
      return EnforcementGap(
        key, missing: "device \(device) has neither io.cost nor the BFQ scheduler turned on",
        remedy: remedy)
    }
  }
}
