import Descriptor
import Glibc
import SliceModel

/// What making room for a lower ceiling came to, in bytes.
public struct MemoryReclaim: Sendable, Hashable {
  public var before: UInt64
  public var after: UInt64
}

extension Cgroup {
  /// Brings what is used down to `target` bytes, before memory.max is lowered to it: the kernel would
  /// otherwise kill for the difference at once.
  ///
  /// Meanwhile memory.high is `target`, so that a slice which goes on allocating is slowed down and
  /// not killed; it stays so on success, for the caller to set once the ceiling is written.
  ///
  /// - Returns: nil where no more than `target` is used anyway, or use isn't counted.
  /// - Throws: a `SliceError` that says what could not be reclaimed; memory.high is then as before.
  public func makeRoom(downTo target: UInt64) throws(SliceError) -> MemoryReclaim? {
    guard has("memory.current") else { return nil }
    let result = try reporting("reclaim memory") { () throws(SystemError) in
      try reclaim(downTo: target)
    }
    guard let result, result.after > target else { return result }
    let (before, after) = (Readable.bytes(result.before), Readable.bytes(result.after))
    throw SliceError(
      .failed,
      "\(after) are in use and cannot be reclaimed (\(before) before it was tried)",
      hint: "nothing was changed; end some of its processes first, or stop it, set, and start it")
  }

  private static let reclaimAttempts = 8

  private func reclaim(downTo target: UInt64) throws(SystemError) -> MemoryReclaim? {
    let before = try memoryInUse()
    guard before > target else { return nil }
    let high = try read("memory.high")
    // The write itself reclaims what it can (cgroup-v2.rst, memory.high).
    try write("\(target)", to: "memory.high")
    var after = try memoryInUse()
    for _ in 0..<Self.reclaimAttempts where after > target {
      do {
        try write("\(after - target)", to: "memory.reclaim")
      } catch {
        // EAGAIN: less was found than asked. ENOENT: Linux before 5.19, memory.high was all.
        guard error.code == EAGAIN || error.code == ENOENT else { throw error }
      }
      after = try memoryInUse()
    }
    if after > target { try write(high, to: "memory.high") }
    return MemoryReclaim(before: before, after: after)
  }

  private func memoryInUse() throws(SystemError) -> UInt64 {
    UInt64(try read("memory.current")) ?? 0
  }
}
