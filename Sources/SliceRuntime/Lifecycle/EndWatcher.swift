import CKernel
import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Notices when a slice's first process ends: one thread for all slices, on their pidfds.
final class EndWatcher: Sendable {
  private let watch: OwnedFD
  private struct Entries {
    var next: UInt64 = 1
    var watched: [UInt64: (process: PidFD, name: SliceName)] = [:]
  }
  private let entries = Mutex(Entries())

  init() throws(SliceError) {
    watch = try reporting("watch for the end of slices") { () throws(SystemError) in
      OwnedFD(adopting: try checked("epoll_create1") { kernel_watch_create() })
    }
  }

  /// Starts to wait for the end of a slice's process.
  func watch(_ process: PidFD, name: SliceName) throws(SliceError) {
    let token = entries.withLock { entries in
      defer { entries.next += 1 }
      entries.watched[entries.next] = (process, name)
      return entries.next
    }
    let number = watch.rawValue
    try reporting("watch for the end of \(name)") { () throws(SystemError) in
      try checked("epoll_ctl", "\(process.pid)") {
        kernel_watch_add(number, process.rawValue, token)
      }
    }
  }

  /// Calls `ended` for every slice whose process has ended, on a thread of its own, for the life of
  /// this process.
  func start(_ ended: @escaping @Sendable (SliceName) -> Void) throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "end-watcher", stackSize: 256 << 10) { [self] in self.run(ended)
      }
    }
  }

  private func run(_ ended: @escaping @Sendable (SliceName) -> Void) {
    while true {
      var tokens = [UInt64](repeating: 0, count: 64)
      let count = kernel_watch_wait(watch.rawValue, &tokens, Int32(tokens.count), -1)
      guard count >= 0 else { return }
      let over = entries.withLock { entries in
        tokens[..<Int(count)].compactMap { entries.watched.removeValue(forKey: $0) }
      }
      // Many at once end together: most of what is to be done is waiting for the disk.
      let parts = Parallel.parts(of: over.count, each: 8, atMost: 8)
      _ = Parallel.map(parts) { range in
        for entry in over[range] {
          // Ours to reap when this process started it; ECHILD when an earlier supervisor did.
          _ = try? entry.process.wait()
          ended(entry.name)
        }
      }
    }
  }
}
