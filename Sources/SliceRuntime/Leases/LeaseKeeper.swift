import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Sees to it that leases are kept: one thread that sleeps until the next step is due, and others
/// that take the steps, because one may wait for its slice while a thousand more are due.
final class LeaseKeeper: Sendable {
  /// What it works on.
  struct Work: Sendable {
    var leases: @Sendable () -> [(name: SliceName, lease: Lease)]
    /// Takes whatever step is due for a slice.
    var keep: @Sendable (SliceName) throws(SliceError) -> Void
    /// Called for every failure; the step is tried again.
    var failed: @Sendable (SliceName, SliceError) -> Void
  }

  /// Steps at a time. Each waits for its slice most of the while.
  static let mostWorkers = 64
  /// Nanoseconds: the wall clock may be set meanwhile.
  private static let longestSleep: UInt64 = 60_000_000_000
  /// Nanoseconds until a step that failed is tried again, twice as many after each failure.
  private static let firstPause: UInt64 = 5_000_000_000
  private static let longestPause: UInt64 = 600_000_000_000

  private struct State {
    var queue: [SliceName] = []
    /// Queued, or being worked on.
    var busy: Set<SliceName> = []
    var workers = 0
    var failures: [SliceName: (count: Int, retryAt: UInt64)] = [:]
  }
  private let state = Mutex(State())
  private let terms: LeaseTerms
  private let alarm = Alarm()
  private let now: @Sendable () -> UInt64

  /// - Parameter now: the wall clock, in nanoseconds since 1970.
  init(terms: LeaseTerms, now: @escaping @Sendable () -> UInt64 = { Clock.now }) {
    self.terms = terms
    self.now = now
  }

  /// A lease has come or changed.
  func look() { alarm.ring() }

  /// Begins, for the life of this process.
  func start(_ work: Work) throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "lease-keeper", stackSize: 256 << 10) { [self] in
        while true {
          let next = dispatch(work)
          alarm.sleep(nanoseconds: next)
        }
      }
    }
  }

  /// Has every step that is due taken by others. Returns how many nanoseconds there are until the next.
  func dispatch(_ work: Work) -> UInt64 {
    let now = self.now()
    let leases = work.leases()
    let (soonest, missing) = state.withLock { state in
      var soonest = now + Self.longestSleep
      for (name, lease) in leases where !state.busy.contains(name) {
        // Too late for a warning is not too early for the end.
        let due = lease.due(at: now, terms) == nil ? lease.next(terms).at : now
        let at = max(due, state.failures[name]?.retryAt ?? 0)
        if at > now {
          soonest = min(soonest, at)
        } else {
          state.queue.append(name)
          state.busy.insert(name)
        }
      }
      // Of slices that are gone.
      if !state.failures.isEmpty {
        let names = Set(leases.map(\.name))
        state.failures = state.failures.filter { names.contains($0.key) }
      }
      let missing = min(state.queue.count, Self.mostWorkers - state.workers)
      state.workers += missing
      return (soonest, missing)
    }
    for _ in 0..<missing { startWorker(work) }
    return soonest - now
  }

  private func startWorker(_ work: Work) {
    do throws(SystemError) {
      try SystemThread.start(name: "lease-worker", stackSize: 512 << 10) { [self] in
        while let name = take() { run(name, work) }
      }
    } catch {
      // No memory for a thread now. Those that wait stay queued, and the next worker finds them; if
      // there is none, they are taken up at the next look.
      state.withLock { state in
        state.workers -= 1
        guard state.workers == 0 else { return }
        state.busy.subtract(state.queue)
        state.queue = []
      }
    }
  }

  private func take() -> SliceName? {
    state.withLock { state in
      guard !state.queue.isEmpty else {
        state.workers -= 1
        return nil
      }
      return state.queue.removeFirst()
    }
  }

  private func run(_ name: SliceName, _ work: Work) {
    do throws(SliceError) {
      try work.keep(name)
      state.withLock { $0.failures[name] = nil }
    } catch {
      work.failed(name, error)
      let now = self.now()
      state.withLock { state in
        let count = (state.failures[name]?.count ?? 0) + 1
        let pause = min(Self.firstPause << UInt64(min(count - 1, 10)), Self.longestPause)
        state.failures[name] = (count, now + pause)
      }
    }
    state.withLock { _ = $0.busy.remove(name) }
    alarm.ring()
  }
}
