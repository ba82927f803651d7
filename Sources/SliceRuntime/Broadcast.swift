import Glibc

/// What any number of threads wait on for something to become true.
final class Broadcast: @unchecked Sendable {  // the two are thread-safe themselves
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>

  init() {
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Who sets the clock must not make a wait longer.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Has all who wait look again. What they look at was changed before.
  func send() {
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Waits until `isTrue`; false when that takes longer. It is asked with a lock held that `send` takes,
  /// so that no change is missed.
  func wait(nanoseconds: UInt64, until isTrue: () -> Bool) -> Bool {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    let end = UInt64(deadline.tv_nsec) + nanoseconds
    deadline.tv_sec += Int(end / 1_000_000_000)
    deadline.tv_nsec = Int(end % 1_000_000_000)
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while !isTrue() {
      guard pthread_cond_timedwait(condition, mutex, &deadline) == 0 else { return isTrue() }
    }
    return true
  }
}
