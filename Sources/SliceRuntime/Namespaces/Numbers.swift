import Synchronization

/// Which numbers are free: no slice has them, nothing is kept ready under them, and no link of theirs
/// is still to go.
final class Numbers: Sendable {
  let capacity: Int
  /// A bit for each number, set where it is taken.
  private let taken: Mutex<[UInt64]>
  /// Rung when one becomes free.
  let freed = Alarm()

  init(capacity: Int) {
    self.capacity = capacity
    taken = Mutex([UInt64](repeating: 0, count: (capacity + 63) / 64))
  }

  /// Takes the smallest; nil: none is free.
  func take() -> Int? {
    taken.withLock { words in
      guard let word = words.firstIndex(where: { $0 != .max }) else { return nil }
      let bit = (~words[word]).trailingZeroBitCount
      let number = word * 64 + bit
      guard number < capacity else { return nil }
      words[word] |= 1 << UInt64(bit)
      return number
    }
  }

  /// Takes that of a slice that is there already. One beyond the node's capacity, of an earlier policy,
  /// is nobody else's anyway.
  func take(_ number: Int) {
    guard number < capacity else { return }
    taken.withLock { $0[number / 64] |= 1 << UInt64(number % 64) }
  }

  func release(_ number: Int) {
    guard number < capacity else { return }
    taken.withLock { $0[number / 64] &= ~(1 << UInt64(number % 64)) }
    freed.ring()
  }
}
