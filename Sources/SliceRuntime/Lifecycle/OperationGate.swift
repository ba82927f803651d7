import Glibc
import SliceModel

/// Lets one operation on a slice go on at a time; others wait, with a deadline.
///
/// A mutex and a condition rather than a lock held through the operation: who waits can give up, and
/// says what it waited for.
final class OperationGate: @unchecked Sendable {  // all state is behind `mutex`
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var current: String?

  init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` alone.
  func run<Value>(
    _ operation: String, on name: SliceName, timeout seconds: Int = 60,
    _ body: () throws(SliceError) -> Value
  ) throws(SliceError) -> Value {
    try enter(operation, name, seconds)
    defer { leave() }
    return try body()
  }

  private func enter(_ operation: String, _ name: SliceName, _ seconds: Int) throws(SliceError) {
    var deadline = timespec()
    clock_gettime(CLOCK_REALTIME, &deadline)
    deadline.tv_sec += seconds
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while let holder = current {
      guard pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT else {
        throw SliceError(
          .timedOut, "\(operation) \(name): \(holder) is still under way after \(seconds) s")
      }
    }
    current = operation
  }

  private func leave() {
    pthread_mutex_lock(mutex)
    current = nil
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }
}
