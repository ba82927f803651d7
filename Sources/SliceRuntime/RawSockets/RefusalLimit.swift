/// Keeps a slice that is refused over and over from filling the log: some at once, then one at a time.
struct RefusalLimit: Sendable {
  /// In a row; one more for each pause since.
  private static let most = 10
  /// Nanoseconds.
  private static let pause: UInt64 = 10_000_000_000

  private var left = RefusalLimit.most
  private var since: UInt64 = 0

  /// Refusals that were not told since the last that was.
  private(set) var untold: UInt64 = 0

  /// Notes refusals. Returns how many there were since the last telling, if these are to be told.
  ///
  /// - Parameter now: on the monotonic clock.
  mutating func admit(_ count: UInt64, at now: UInt64) -> UInt64? {
    let earned = (now - since) / Self.pause
    if earned > 0 {
      left = min(Self.most, left + Int(min(earned, UInt64(Self.most))))
      since = left == Self.most ? now : since + earned * Self.pause
    }
    untold += count
    guard left > 0 else { return nil }
    left -= 1
    defer { untold = 0 }
    return untold
  }
}
