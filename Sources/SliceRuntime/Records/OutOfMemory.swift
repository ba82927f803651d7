import SliceModel

/// That the kernel killed processes of a slice for want of memory: when, and which limit was met.
public struct OutOfMemory: Sendable, Hashable, Codable {
  /// Whose limit it was.
  public enum Limit: String, Sendable, Hashable, Codable, CaseIterable {
    /// memory.max or memory.swap.max of the slice.
    case slice
    /// Of a cgroup that the slice made below its own.
    case inside
    /// What all slices together may have.
    case node
    /// Nobody's: the host itself had no more.
    case host
  }

  /// Nanoseconds since 1970, UTC, of the latest.
  public var at: UInt64
  public var limit: Limit
  /// Of `limit`, in bytes, where the runtime knows it.
  public var limitBytes: UInt64?
  /// The most that the slice had in this run, in bytes; nil before Linux 5.19.
  public var peakBytes: UInt64?
  /// Processes killed since the run began.
  public var kills: UInt64

  /// For people: `out of memory: memory.max=16M is reached, and it had 16M`.
  public var description: String {
    let bytes = limitBytes.map { "=\(Readable.bytes($0))" } ?? ""
    let cause =
      switch limit {
      case .slice: "memory.max\(bytes) is reached"
      case .inside: "a cgroup of its own has reached its memory.max"
      case .node: "the slices together have reached the node's ceiling\(bytes)"
      case .host: "the host has no more"
      }
    return "out of memory: \(cause)" + (peakBytes.map { "; it had \(Readable.bytes($0))" } ?? "")
  }
}
