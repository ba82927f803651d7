import Descriptor
import Glibc

/// A moment after which waiting ends, or never.
struct Deadline: Sendable {
  private let end: ContinuousClock.Instant?

  static let never = Deadline(end: nil)

  /// `duration` from now; nil means never.
  static func after(_ duration: Duration?) -> Deadline {
    Deadline(end: duration.map { ContinuousClock().now + $0 })
  }

  private init(end: ContinuousClock.Instant?) { self.end = end }

  /// What is left, in poll(2)'s terms: milliseconds rounded up, -1 for ever, 0 when passed.
  var pollTimeout: Int32 {
    guard let end else { return -1 }
    let left = end - ContinuousClock().now
    guard left > .zero else { return 0 }
    let (seconds, attoseconds) = left.components
    guard seconds < 1_000_000 else { return Int32.max }
    return Int32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}

/// Waits until one of the descriptors has one of `events` (or an error, or a hang-up).
///
/// - Returns: for each descriptor whether it is ready; none is after the deadline.
func awaitAny(
  of descriptors: [Int32], for events: Int32, until deadline: Deadline
) throws(SystemError) -> [Bool] {
  var polled = descriptors.map { pollfd(fd: $0, events: Int16(events), revents: 0) }
  try retryingInterrupts("poll") { poll(&polled, nfds_t(polled.count), deadline.pollTimeout) }
  return polled.map { $0.revents != 0 }
}
