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

/// The block device behind the slices' storage, as `io.max` names it.
public struct BlockDevice: Sendable, Hashable, CustomStringConvertible {
  public var major: UInt32
  public var minor: UInt32
  public init(major: UInt32, minor: UInt32) {
    self.major = major
    self.minor = minor
  }
  public var description: String { "\(major):\(minor)" }
}

/// A cgroup v2 controller: which files hold which keys. One file per controller beside this one.
public protocol CgroupController: Sendable {
  /// As cgroup.controllers names it.
  var name: String { get }
  /// Writes for every key of this controller: the setting, or the kernel's default where it is not
  /// set. In the order in which they are to be made.
  func values(_ settings: Settings, device: BlockDevice?) -> [CgroupSetting]
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
  /// The keys of `settings` that this cgroup cannot hold, with what is missing.
  public func unenforceable(
    _ settings: Settings, device: BlockDevice?
  ) throws(SystemError) -> [(key: Key, missing: String)] {
    let available = try controllers()
    var result: [(Key, String)] = []
    let files = Dictionary(
      CgroupControllers.values(settings, device: device).map { ($0.key, $0.file) },
      uniquingKeysWith: { first, _ in first })
    for key in settings.keys {
      switch key.enforcer {
      case .construction: continue
      case .nothing: result.append((key, "this version does not enforce it"))
      case .controller(let name):
        if !available.contains(name) {
          result.append((key, "the cgroup v2 controller '\(name)' is not available"))
        } else if files[key] == nil {
          result.append((key, "the storage of the slices has no block device that io.max can name"))
        }
      }
    }
    return result
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
