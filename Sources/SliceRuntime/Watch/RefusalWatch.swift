import SliceKernel
import SliceModel
import Synchronization

/// Looks at what slices with `seccomp.log` were refused, and tells of raw sockets, as the broker of a slice
/// with grants does. Other slices are refused them by the kernel, which tells nobody.
final class RefusalWatch: Sendable {
  /// By slice: when the latest call was, of those that were looked at; nanoseconds since 1970. After a
  /// restart of the supervisor, whose events are new too, all are.
  private let seen = Mutex<[SliceName: UInt64]>([:])

  /// Forgets all but these.
  func keep(_ names: Set<SliceName>) {
    seen.withLock { $0 = $0.filter { names.contains($0.key) } }
  }

  /// Takes a slice's record. Returns the latest call for a raw socket since the last look.
  func observe(_ name: SliceName, _ refused: RefusedCalls) -> RawControl.Refusal? {
    let last = seen.withLock { seen in
      defer { seen[name] = max(seen[name] ?? 0, refused.calls.first?.lastAt ?? 0) }
      return seen[name] ?? 0
    }
    // The latest comes first.
    return refused.calls.prefix { $0.lastAt > last }.lazy.compactMap { call in
      call.name == "socket"
        ? RawControl.Refusal(pid: call.pid, arguments: call.arguments) : nil
    }.first
  }
}
