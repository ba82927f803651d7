/// How long a slice still lives. Times are on the wall clock, in nanoseconds since 1970, so that they
/// survive restarts and reboots.
public struct Lease: Sendable, Hashable, Codable {
  public var lengthMilliseconds: UInt64
  public var endsAt: UInt64
  /// The owner was told that it ends soon.
  public var warned: Bool
  /// When the slice was stopped because it had ended. The time until its removal counts from here:
  /// the owner gets all of it, even if the host was off at the end or its clock wrong.
  public var endedAt: UInt64?

  public init(_ length: TimeSpan, from now: UInt64) {
    lengthMilliseconds = length.milliseconds
    endsAt = Self.sum(now, length.milliseconds)
    warned = false
  }

  /// What the passing of time asks for.
  public enum Step: Sendable, Hashable { case warn, end, remove }

  /// The next step, and when.
  public func next(_ terms: LeaseTerms) -> (step: Step, at: UInt64) {
    if let endedAt { return (.remove, Self.sum(endedAt, terms.grace.milliseconds)) }
    let warning = min(terms.warning.milliseconds, lengthMilliseconds / 10)
    let warnAt = endsAt - min(Self.sum(0, warning), endsAt)
    return warned || warning == 0 ? (.end, endsAt) : (.warn, warnAt)
  }

  /// The step that is due; nil: none yet.
  public func due(at now: UInt64, _ terms: LeaseTerms) -> Step? {
    // Too late for a warning.
    if endedAt == nil, now >= endsAt { return .end }
    let next = next(terms)
    return next.at <= now ? next.step : nil
  }

  public func isOver(at now: UInt64) -> Bool { endedAt != nil || now >= endsAt }

  /// Saturates, like everything that a long enough lease would overflow: some centuries from now.
  private static func sum(_ time: UInt64, _ milliseconds: UInt64) -> UInt64 {
    let (nanoseconds, tooLong) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
    let (sum, tooLate) = time.addingReportingOverflow(nanoseconds)
    return tooLong || tooLate ? .max : sum
  }
}

/// The node's terms for all leases.
public struct LeaseTerms: Sendable, Hashable {
  /// Between the end of a lease, when the slice is stopped, and its removal.
  public var grace = TimeSpan(seconds: 7 * 86_400)
  /// How long before the end the owner is warned; at most a tenth of the lease.
  public var warning = TimeSpan(seconds: 86_400)
  public init() {}
}
