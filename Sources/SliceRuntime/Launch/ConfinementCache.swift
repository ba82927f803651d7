import SliceKernel
import SliceModel
import Synchronization

/// The confinements of slices with rules of their own for system calls. Compiling a filter takes
/// milliseconds, and most slices have the same few.
final class ConfinementCache: Sendable {
  private struct Entry {
    var start: Confinement
    /// errno by call, for slices whose refusals are noted.
    var answers: [UInt8]?
    var entry: Confinement
  }

  /// A filter is some 10 KiB.
  private static let most = 128

  private let base: Confinement
  private struct Kind: Hashable {
    var rules = SystemCallRules()
    /// Whether a broker opens raw sockets.
    var asksForRawSockets = false
  }
  private let entries = Mutex<[Kind: Entry]>([:])

  /// - Parameter base: of a slice without rules of its own.
  init(_ base: Confinement) { self.base = base }

  /// Of a slice's first process, and what it is to answer to refused calls, where it notes them.
  func ofStart(_ settings: Settings) throws(SliceError) -> (Confinement, answers: [UInt8]?) {
    let entry = try entry(for: settings, asking: settings[.rawAllow] != nil)
    return (entry.start, entry.answers)
  }

  /// Of a command that enters. What it is refused is not noted: it is no descendant of slice-init, and
  /// the kernel takes a listener for its own descendants alone.
  ///
  /// - Parameter asking: whether a broker answers for raw sockets, which is so from a slice's start on or
  ///   not at all.
  func ofEntry(_ settings: Settings, asking: Bool) throws(SliceError) -> Confinement {
    try entry(for: settings, asking: asking).entry
  }

  private func entry(for settings: Settings, asking: Bool) throws(SliceError) -> Entry {
    let kind = Kind(rules: try settings.systemCallRules(), asksForRawSockets: asking)
    if kind == Kind() { return Entry(start: base, answers: nil, entry: base) }
    if let known = entries.withLock({ $0[kind] }) { return known }
    // Outside the lock: two that compile the same filter at once do no harm.
    let new = try make(kind)
    entries.withLock {
      if $0.count >= Self.most { $0.removeAll() }
      $0[kind] = new
    }
    return new
  }

  private func make(_ kind: Kind) throws(SliceError) -> Entry {
    let profile = try SeccompProfile.networkService(
      rawSockets: kind.asksForRawSockets ? .asked : .refused, kind.rules)
    let usual = base.with(profile.programs, asking: kind.asksForRawSockets)
    guard kind.rules.logs else { return Entry(start: usual, answers: nil, entry: usual) }
    let asking = try AskingProfile(kind.rules)
    return Entry(
      start: base.with([asking.program], asking: true), answers: asking.answers, entry: usual)
  }
}
