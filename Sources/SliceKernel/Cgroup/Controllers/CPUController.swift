import SliceModel

/// cpu: share by weight, ceiling by quota.
struct CPUController: CgroupController {
  let name = "cpu"
  /// Microseconds; the kernel's default. A quota is enforced over each such period.
  static let period: UInt64 = 100_000

  /// Microseconds in each period.
  static func quota(_ amount: CPUAmount) -> UInt64 { amount.millicores * period / 1000 }

  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    let quota = settings.cpuMax.map { "\(Self.quota($0))" } ?? "max"
    return [
      CgroupSetting(.cpuWeight, "cpu.weight", "\(settings.count(.cpuWeight) ?? 100)"),
      CgroupSetting(.cpuMax, "cpu.max", "\(quota) \(Self.period)"),
    ]
  }
}
