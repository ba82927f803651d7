import Descriptor
import SliceModel

/// One write to a cgroup file: what makes the kernel hold a key.
public struct CgroupSetting: Sendable, Hashable {
  public var key: Key
  public var file: String
  public var value: String
  public init(_ key: Key, _ file: String, _ value: String) {
    self.key = key
    self.file = file
    self.value = value
  }
}

/// Why a setting can't be held here.
public struct EnforcementGap: Sendable, Hashable {
  public var key: Key
  /// What is missing, in words.
  public var missing: String
  /// The command that mends it, where there is one.
  public var remedy: String?

  public init(_ key: Key, missing: String, remedy: String? = nil) {
    self.key = key
    self.missing = missing
    self.remedy = remedy
  }
}

/// A cgroup v2 controller: which files hold which keys. One file per controller beside this one.
public protocol CgroupController: Sendable {
  /// As cgroup.controllers names it.
  var name: String { get }
  /// Writes for every key of this controller: the setting, or the kernel's default where it is not
  /// set. In the order in which they are to be made.
  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting]
  /// Why `key`, which is set, can't be held although the controller is there; nil: it can.
  func gap(_ key: Key, _ settings: Settings, device: BlockDevice?) -> EnforcementGap?
}

extension CgroupController {
  public func gap(_ key: Key, _ settings: Settings, device: BlockDevice?) -> EnforcementGap? {
    nil
  }
}

public enum CgroupControllers {
  /// To add a resource kind: its file in Controllers/, and its line here.
  public static let all: [any CgroupController] = [
    CPUController(), ProcessorSetController(), MemoryController(), ProcessCountController(),
    DiskController(),
  ]

  public static func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting] {
    all.flatMap { $0.values(settings, device: device) }
  }
}

extension Cgroup {
  /// The keys of `settings` that this cgroup cannot hold, with what is missing. Quotas are not its
  /// affair.
  public func unenforceable(
    _ settings: Settings, device: BlockDevice?
  ) throws(SystemError) -> [EnforcementGap] {
    let available = try controllers()
    return settings.keys.compactMap { key in
      switch key.enforcer {
      case .construction, .supervisor, .quota, .shaping: return nil
      case .nothing: return EnforcementGap(key, missing: "this version does not enforce it")
      case .controller(let name):
        guard available.contains(name) else {
          return EnforcementGap(
            key, missing: "the cgroup v2 controller '\(name)' is not available")
        }
        let controller = CgroupControllers.all.first { $0.name == name }
        return controller?.gap(key, settings, device: device)
      }
    }
  }

  /// Writes what holds one key, as `settings` has it.
  public func apply(_ key: Key, of settings: Settings) throws(SliceError) {
    for value in CgroupControllers.values(settings, device: nil) where value.key == key {
      try reporting("set \(key.rawValue)") { () throws(SystemError) in
        try write(value.value, to: value.file)
      }
    }
  }

  /// Makes the kernel hold `settings` instead of `previous`, all or nothing: after a failure the
  /// earlier values are back. Keys whose file is missing were ruled unenforced before.
  ///
  /// - Throws: a `SliceError` that names the key, the value and the file.
  public func apply(
    _ settings: Settings, insteadOf previous: Settings, device: BlockDevice?
  ) throws(SliceError) {
    let old = CgroupControllers.values(previous, device: device)
    let new = CgroupControllers.values(settings, device: device)
    var changes: [(before: CgroupSetting, after: CgroupSetting)] = []
    for after in new {
      guard let before = old.first(where: { $0.file == after.file && $0.key == after.key }),
        before.value != after.value, has(after.file)
      else { continue }
      changes.append((before, after))
    }
    for (index, change) in changes.enumerated() {
      do {
        try write(change.after.value, to: change.after.file)
      } catch {
        for done in changes[..<index].reversed() {
          do {
            try write(done.before.value, to: done.before.file)
          } catch let undo {
            throw SliceError(
              .failed,
              "set \(change.after.key.rawValue): \(error), and \(done.before.key.rawValue) could not be put back: \(undo)"
            )
          }
        }
        throw SliceError(
          .failed, "set \(change.after.key.rawValue): \(error)", hint: "nothing was changed")
      }
    }
  }
}
