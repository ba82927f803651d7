import CKernel
import Descriptor

/// Tells when files of the kernel's change, such as memory.events: inotify(7).
public struct FileChanges: Sendable {
  /// One watched file; the number is free again when the watch was removed.
  public typealias Watch = Int32

  private let changes: SharedFD

  public init() throws(SystemError) {
    changes = SharedFD(
      OwnedFD(adopting: try checked("inotify_init1") { kernel_changes_create() }), label: "inotify")
  }

  public func add(_ path: String) throws(SystemError) -> Watch {
    try checked("inotify_add_watch", path) { kernel_changes_add(changes.rawValue, path) }
  }

  /// Fine for a file that has gone.
  public func remove(_ watch: Watch) { kernel_changes_remove(changes.rawValue, watch) }

  /// Waits for changes. Returns whose files changed; nil: some were lost, so look at all.
  public func wait() throws(SystemError) -> Set<Watch>? {
    var watches = [Int32](repeating: 0, count: 64)
    let count = try checked("read", "inotify") {
      kernel_changes_wait(changes.rawValue, &watches, Int32(watches.count))
    }
    let found = Set(watches[..<Int(count)])
    return found.contains(-1) ? nil : found
  }
}
