import Synchronization

/// What a thread sleeps on that is to be woken for work or at a time.
final class Alarm: Sendable {
  private let waiting = Broadcast()
  private let isRung = Atomic(false)

  /// Wakes the sleeper, or has its next sleep end at once.
  func ring() {
    isRung.store(true, ordering: .sequentiallyConsistent)
    waiting.send()
  }

  /// Sleeps until it rings, and for so long at most.
  func sleep(nanoseconds: UInt64) {
    _ = waiting.wait(nanoseconds: nanoseconds) {
      isRung.exchange(false, ordering: .sequentiallyConsistent)
    }
  }
}
