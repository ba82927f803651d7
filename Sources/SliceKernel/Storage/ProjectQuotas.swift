import CStorage
import Descriptor
import Glibc
import SliceModel

/// The project quotas of one file system: bounds of bytes and files for every tree that was given to
/// a project (quotactl(2)). A project is a number, here the first host id of a slice.
public struct ProjectQuotas: Sendable {
  /// Bounds and use of a project.
  public struct Account: Sendable, Hashable {
    /// Nil: no bound.
    public var maxBytes: UInt64?
    public var maxFiles: UInt64?
    public var usedBytes: UInt64
    /// Directories and links count too.
    public var usedFiles: UInt64

    public var isBounded: Bool { maxBytes != nil || maxFiles != nil }
  }

  private let directory: SharedFD

  /// Of the file system that holds `path`, a directory; nil where it does not hold such bounds.
  public init?(of path: String) throws(SystemError) {
    let opened = try Files.open(path, O_RDONLY | O_DIRECTORY)
    let number = opened.rawValue
    guard
      try checked("quotactl_fd(Q_XGETQSTATV)", path, { storage_quotas_enforced(number) }) == 1
    else { return nil }
    directory = SharedFD(opened, label: path)
  }

  /// Gives a directory to a project: it and what is made in it from then on count. What is in it
  /// already does not.
  public func assign(_ path: String, to project: UInt32) throws(SystemError) {
    let opened = try Files.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    let number = opened.rawValue
    try checked("ioctl(FS_IOC_FSSETXATTR)", path) { storage_set_project(number, project) }
  }

  /// The project that what is made in a directory belongs to; 0: none.
  public func project(of path: String) throws(SystemError) -> UInt32 {
    let opened = try Files.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    let number = opened.rawValue
    var project: UInt32 = 0
    try checked("ioctl(FS_IOC_FSGETXATTR)", path) { storage_get_project(number, &project) }
    return project
  }

  public func account(_ project: UInt32) throws(SystemError) -> Account {
    var entry = storage_quota()
    try checked("quotactl_fd(Q_GETQUOTA)", "project \(project)") {
      storage_get_quota(directory.rawValue, project, &entry)
    }
    return Account(entry)
  }

  /// Sets both bounds; holds from the next write on. A bound below what is used takes nothing away
  /// and lets nothing be added.
  ///
  /// - Parameter maxBytes: counted in whole KiB.
  public func bound(
    _ project: UInt32, maxBytes: UInt64?, maxFiles: UInt64?
  ) throws(SystemError) {
    #if DEBUG
      if Mutation.current == .noQuota { return }
    #endif
    try checked("quotactl_fd(Q_SETQUOTA)", "project \(project)") {
      storage_set_quota(directory.rawValue, project, maxBytes ?? 0, maxFiles ?? 0)
    }
  }

  /// The projects in `range` that have bounds or use.
  public func projects(in range: ClosedRange<UInt32>) throws(SystemError) -> [UInt32: Account] {
    var found: [UInt32: Account] = [:]
    var next = range.lowerBound
    while true {
      var entry = storage_quota()
      do {
        try checked("quotactl_fd(Q_GETNEXTQUOTA)", "project \(next)") {
          storage_next_quota(directory.rawValue, &next, &entry)
        }
      } catch {
        guard error.code == ENOENT else { throw error }
        return found
      }
      guard range.contains(next) else { return found }
      found[next] = Account(entry)
      guard next < range.upperBound else { return found }
      next += 1
    }
  }
}

extension ProjectQuotas.Account {
  fileprivate init(_ entry: storage_quota) {
    self.init(
      maxBytes: entry.max_bytes == 0 ? nil : entry.max_bytes,
      maxFiles: entry.max_files == 0 ? nil : entry.max_files, usedBytes: entry.used_bytes,
      usedFiles: entry.used_files)
  }
}
