import Glibc
import SliceModel
import Synchronization
import SystemTestSupport
import Testing

@testable import SliceRuntime

/// The keeper of leases, without slices.
@Suite struct LeaseKeeperTests {
  /// Slices that are only names with leases; a step takes as long as it is told.
  private final class Node: Sendable {
    let leases: Mutex<[SliceName: Lease]>
    let failures = Mutex<[SliceName: Int]>([:])
    /// How many steps were under way at the same time.
    let load = Mutex((now: 0, most: 0))

    init(count: Int, ending at: UInt64) throws {
      var leases: [SliceName: Lease] = [:]
      for number in 0..<count {
        var lease = Lease(TimeSpan(seconds: 100), from: 0)
        lease.endsAt = at
        lease.warned = true
        leases[try SliceName("s\(number)")] = lease
      }
      self.leases = Mutex(leases)
    }

    /// - Parameter step: a slice's own part of it; the slice is gone when it returns.
    func work(
      _ step: @escaping @Sendable (SliceName) throws(SliceError) -> Void
    ) -> LeaseKeeper.Work {
      LeaseKeeper.Work(
        leases: { self.leases.withLock { $0.map { ($0.key, $0.value) } } },
        keep: { name throws(SliceError) in
          self.load.withLock {
            $0.now += 1
            $0.most = max($0.most, $0.now)
          }
          defer { self.load.withLock { $0.now -= 1 } }
          try step(name)
          self.leases.withLock { $0[name] = nil }
        },
        failed: { name, _ in self.failures.withLock { $0[name, default: 0] += 1 } })
    }

    var left: Int { leases.withLock { $0.count } }
  }

  @Test func aThousandEndsAtOnceGoOnTogether() throws {
    let node = try Node(count: 1000, ending: Clock.now)
    let began = MonotonicTime.now
    try LeaseKeeper(terms: LeaseTerms()).start(node.work { _ in usleep(100_000) })
    #expect(eventually(within: 30) { node.left == 0 })
    // One after the other it would be 100 s, with all workers 1.6.
    #expect(MonotonicTime.now - began < 15)
    #expect(node.load.withLock { $0.most } <= LeaseKeeper.mostWorkers)
  }

  @Test func oneThatHangsHoldsUpNoOther() throws {
    let node = try Node(count: 20, ending: Clock.now)
    let stuck = try SliceName("s7")
    let release = Mutex(false)
    try LeaseKeeper(terms: LeaseTerms()).start(
      node.work { name in
        while name == stuck, !release.withLock({ $0 }) { usleep(10_000) }
      })
    #expect(eventually { node.left == 1 })
    release.withLock { $0 = true }
    #expect(eventually { node.left == 0 })
  }

  @Test func aFailureIsReportedAndTriedAgainLater() throws {
    let time = Mutex(Clock.now)
    let node = try Node(count: 1, ending: time.withLock { $0 })
    let name = try SliceName("s0")
    let fails = Mutex(true)
    let keeper = LeaseKeeper(terms: LeaseTerms()) { time.withLock { $0 } }
    let work = node.work { _ throws(SliceError) in
      if fails.withLock({ $0 }) { throw SliceError(.failed, "no") }
    }
    func failures() -> Int { node.failures.withLock { $0[name] ?? 0 } }
    for (round, pause) in [5, 10, 20].enumerated() {
      #expect(keeper.dispatch(work) <= 60_000_000_000)
      #expect(eventually { failures() == round + 1 && node.load.withLock { $0.now } == 0 })
      // The failure is on record once the next is no longer due.
      #expect(eventually { keeper.dispatch(work) <= UInt64(pause) * 1_000_000_000 })
      time.withLock { $0 += UInt64(pause) * 1_000_000_000 - 1 }
      #expect(keeper.dispatch(work) <= 1)
      usleep(20_000)
      #expect(failures() == round + 1)
      time.withLock { $0 += 1 }
    }
    fails.withLock { $0 = false }
    _ = keeper.dispatch(work)
    #expect(eventually { node.left == 0 })
  }

  @Test func sleepsUntilTheNextStepAndIsWokenByAChange() throws {
    let node = try Node(count: 1, ending: Clock.now + 3_600_000_000_000)
    let keeper = LeaseKeeper(terms: LeaseTerms())
    let work = node.work { _ in }
    #expect(keeper.dispatch(work) == 60_000_000_000, "the clock may be set meanwhile")
    try keeper.start(work)
    usleep(50_000)
    node.leases.withLock { leases in
      for name in leases.keys { leases[name]?.endsAt = Clock.now }
    }
    keeper.look()
    #expect(eventually(within: 5) { node.left == 0 })
  }
}
