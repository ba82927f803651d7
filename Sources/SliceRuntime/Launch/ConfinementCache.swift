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
  private struct Wish: Hashable {
    var rules: SystemCallRules
    /// For raw sockets.
    var asking: Bool
  }

  /// A filter is some 10 KiB.
  private static let most = 128

  private let base: Confinement
  private let entries = Mutex<[Wish: Entry]>([:])

  /// - Parameter base: of a slice without rules of its own.
  init(_ base: Confinement) { self.base = base }

  /// Of a slice's first process, and what it is to answer to refused calls, where it notes them.
  func ofStart(_ settings: Settings) throws(SliceError) -> (Confinement, answers: [UInt8]?) {
    let asking = settings[.rawAllow] != nil
    let entry = try entry(for: Wish(rules: settings.systemCallRules(), asking: asking))
    return (entry.start, entry.answers)
  }

  /// Of a command that enters. What it is refused is not noted: it is no descendant of slice-init, and
  /// the kernel takes a listener for its own descendants alone.
  ///
  /// - Parameter asking: whether the slice was started with raw sockets.
  func ofEntry(_ settings: Settings, asking: Bool) throws(SliceError) -> Confinement {
    try entry(for: Wish(rules: settings.systemCallRules(), asking: asking)).entry
  }

  private func entry(for wish: Wish) throws(SliceError) -> Entry {
    if wish == Wish(rules: SystemCallRules(), asking: false) {
      return Entry(start: base, answers: nil, entry: base)
    }
    if let known = entries.withLock({ $0[wish] }) { return known }
    // Outside the lock: two that compile the same filter at once do no harm.
    let new = try wish.asking ? makeAsking(wish.rules) : make(wish.rules)
    entries.withLock {
      if $0.count >= Self.most { $0.removeAll() }
      $0[wish] = new
    }
    return new
  }

  /// Of slices with raw sockets: the filter that asks is the first, which judges arguments.
  private func makeAsking(_ rules: SystemCallRules) throws(SliceError) -> Entry {
    let programs = try SeccompProfile.networkService(rawSockets: .asked, rules).programs
    func confinement(keptAs number: Int?) -> Confinement {
      base.with(
        filters: programs.enumerated().map { place, program in
          place == 0 ? .filterWithListener(program, keptAs: number) : .filterSystemCalls(program)
        })
    }
    return Entry(
      start: confinement(keptAs: RawSocketKeeper.listenerNumber), answers: nil,
      entry: confinement(keptAs: nil))
  }

  private func make(_ rules: SystemCallRules) throws(SliceError) -> Entry {
    let profile = try SeccompProfile.networkService(rules)
    let plain = base.with(filters: profile.programs.map(LaunchStep.filterSystemCalls))
    guard rules.logs else { return Entry(start: plain, answers: nil, entry: plain) }
    let asking = try AskingProfile(rules)
    return Entry(
      start: base.with(filters: [.filterSystemCallsWithListener(asking.program)]),
      answers: asking.answers, entry: plain)
  }
}
