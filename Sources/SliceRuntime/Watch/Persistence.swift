/// Tells once when something has held for long, and again only after it ceased.
struct Persistence: Sendable, Hashable {
  private var since: UInt64?
  private var isTold = false

  /// - Parameters:
  ///   - now: on any clock that does not go back, nanoseconds.
  ///   - duration: how long is long, nanoseconds.
  /// - Returns: whether it is to be told now.
  mutating func update(_ holds: Bool, now: UInt64, for duration: UInt64) -> Bool {
    guard holds else {
      self = Persistence()
      return false
    }
    let start = since ?? now
    since = start
    guard !isTold, now - start >= duration else { return false }
    isTold = true
    return true
  }
}
