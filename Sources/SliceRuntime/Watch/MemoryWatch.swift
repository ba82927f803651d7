import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Notices at once that a slice meets a bound of its memory: one thread for all, on their memory.events.
final class MemoryWatch: Sendable {
  private let changes: FileChanges
  private struct Entries {
    var names: [FileChanges.Watch: SliceName] = [:]
    var watches: [SliceName: FileChanges.Watch] = [:]
  }
  private let entries = Mutex(Entries())

  init() throws(SliceError) {
    changes = try reporting("watch the memory of slices") { () throws(SystemError) in
      try FileChanges()
    }
  }

  /// Begins to watch a slice that has been started; its cgroup may be without a memory controller.
  func add(_ name: SliceName, _ limits: Cgroup) throws(SliceError) {
    guard limits.has("memory.events") else { return }
    try reporting("watch the memory of \(name)") { () throws(SystemError) in
      // Under the lock: a change that comes before the name is entered would be nobody's.
      try entries.withLock { (entries) throws(SystemError) in
        let watch = try changes.add(limits.path + "/memory.events")
        entries.names[watch] = name
        entries.watches[name] = watch
      }
    }
  }

  func remove(_ name: SliceName) {
    entries.withLock { entries in
      guard let watch = entries.watches.removeValue(forKey: name) else { return }
      entries.names[watch] = nil
      changes.remove(watch)
    }
  }

  /// Calls `changed` for every slice whose counts may have changed, on a thread of its own, for the
  /// life of this process.
  func start(_ changed: @escaping @Sendable (SliceName) -> Void) throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "memory-watch", stackSize: 256 << 10) { [self] in
        // It fails only if the descriptor is gone, with the process.
        while let watches = try? changes.wait() { names(watches).forEach(changed) }
      }
    }
  }

  private func names(_ watches: Set<FileChanges.Watch>?) -> [SliceName] {
    entries.withLock { entries in
      guard let watches else { return Array(entries.watches.keys) }
      return watches.compactMap { entries.names[$0] }
    }
  }
}
