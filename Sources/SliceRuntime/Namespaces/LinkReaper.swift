import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// Sees the links of slices go that have ended, off everybody's path, and keeps their numbers until then.
///
/// When nobody lives in a network namespace and nobody holds it, the kernel removes it with its link,
/// many together for the price of one. Asked to delete one link, it makes the asker wait for
/// 20 ms (RCU), and everybody else who changes a link. So here is only looked, and deleted what is still
/// there after a while: somebody from outside may hold the namespace.
final class LinkReaper: Sendable {
  /// What becomes of the number of a link that has gone.
  private enum Number {
    /// Its slice still has it.
    case kept
    case freed
  }

  private struct Going {
    /// On the monotonic clock.
    var since: UInt64
    var number: Number
  }

  private let going = Mutex<[Int: Going]>([:])
  /// Held while links are deleted: a slice that is started again must not lose its new one.
  private let deletion = Mutex<Void>(())
  private let network: NetworkControl
  private let numbers: Numbers
  private let alarm = Alarm()

  /// How long the kernel is given before a link is deleted, nanoseconds.
  private static let patience: UInt64 = 300_000_000
  /// Between two looks, microseconds.
  private static let pause: UInt32 = 10_000

  init(numbers: Numbers) throws(SliceError) {
    network = try NetworkControl()
    self.numbers = numbers
  }

  func start() throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "link-reaper", stackSize: 256 << 10) { [self] in
        while true { round() }
      }
    }
  }

  /// Has the link of a number go. The classifier doesn't know it any more.
  func retire(_ number: Int) {
    going.withLock {
      if $0[number] == nil { $0[number] = Going(since: kernel_monotonic(), number: .kept) }
    }
    alarm.ring()
  }

  /// Frees a number, as soon as its link has gone.
  func release(_ number: Int) {
    let isGoing = going.withLock { going in
      going[number]?.number = .freed
      return going[number] != nil
    }
    if !isGoing { numbers.release(number) }
  }

  /// Whether numbers will become free.
  var isReleasing: Bool { going.withLock { $0.values.contains { $0.number == .freed } } }

  /// Has the link of a number be gone on return: its slice is started again.
  func finish(_ number: Int) throws(SliceError) {
    try deletion.withLock { (_) throws(SliceError) in
      guard going.withLock({ $0[number] != nil }) else { return }
      try network.deleteLink(SliceLink.name(number))
      gone([number])
    }
  }

  // MARK: - The thread

  private func round() {
    guard going.withLock({ !$0.isEmpty }) else { return alarm.sleep(nanoseconds: .max / 4) }
    usleep(Self.pause)
    let waiting = going.withLock { $0.map { (number: $0.key, since: $0.value.since) } }
    let present = waiting.filter { NetworkControl.exists(SliceLink.name($0.number)) }
    gone(Set(waiting.map(\.number)).subtracting(present.map(\.number)))
    let now = kernel_monotonic()
    let late = present.filter { $0.since + Self.patience < now }.map(\.number)
    if !late.isEmpty { delete(late) }
  }

  private func delete(_ late: [Int]) {
    deletion.withLock { _ in
      let still = going.withLock { going in late.filter { going[$0] != nil } }
      // After a failure the next look tells what is left; the numbers stay taken.
      try? network.deleteLinks(still.map(SliceLink.name))
    }
  }

  private func gone(_ those: some Sequence<Int>) {
    going.withLock { going in
      for number in those where going.removeValue(forKey: number)?.number == .freed {
        // Under the lock, so that at no moment it seems to be neither.
        numbers.release(number)
      }
    }
  }
}
