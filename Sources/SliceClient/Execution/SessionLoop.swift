import Descriptor
import Glibc
import SliceInterface
import SliceModel

/// Waits on everything that a running command can bring besides its end: bytes, and signals to
/// the caller.
final class SessionLoop {
  /// What a signal does to the session.
  enum Reaction {
    case goOn
    /// Hang up, and give this exit status.
    case end(Int32)
  }

  /// What ended the waiting.
  enum Outcome {
    /// The supervisor has something to say.
    case reply
    /// The session is over on this side, with this exit status.
    case ended(Int32)
  }

  /// Towards the command, and away from it.
  private let input: Relay?
  private let outputs: [Relay]
  /// The session lasts no longer than the caller's streams do, as when a terminal hangs up.
  private let endsWithStreams: Bool
  private let signals: SignalQueue
  private let onSignal: (Int32) -> Reaction

  /// From here on the signals come to `onSignal` alone, and a write to a closed pipe is an error
  /// and not a signal's matter.
  init(
    input: Relay?, outputs: [Relay], endsWithStreams: Bool, signals: [Int32],
    onSignal: @escaping (Int32) -> Reaction
  ) throws(SystemError) {
    self.input = input
    self.outputs = outputs
    self.endsWithStreams = endsWithStreams
    self.signals = try SignalQueue(signals)
    self.onSignal = onSignal
    signal(SIGPIPE, SIG_IGN)
  }

  /// Goes on until the supervisor's `connection` is readable or the session ends.
  func run(untilReplyOn connection: Int32) throws(SystemError) -> Outcome {
    while true {
      let (hasReply, hasSignal) = try waitAndRelay(connection)
      while hasSignal, let signal = signals.next() {
        if case .end(let status) = onSignal(signal) { return .ended(status) }
      }
      if hasReply { return .reply }
      guard endsWithStreams else { continue }
      if input?.firstClosed == .source { return .ended(128 + SIGHUP) }
      if outputs.contains(where: { $0.firstClosed == .destination }) {
        return .ended(128 + SIGPIPE)
      }
    }
  }

  /// Passes on what the command had written when it ended.
  func finish() { outputs.forEach { $0.drain() } }

  private func waitAndRelay(
    _ connection: Int32
  ) throws(SystemError) -> (hasReply: Bool, hasSignal: Bool) {
    let ours = [connection, signals.pollDescriptor].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let relays = outputs + (input.map { [$0] } ?? [])
    let interests = relays.map(\.interests)
    var polled = ours + interests.joined()
    try retryingInterrupts("poll") { poll(&polled, nfds_t(polled.count), -1) }
    var start = ours.count
    for (relay, interests) in zip(relays, interests) {
      relay.advance(Array(polled[start..<start + interests.count]))
      start += interests.count
    }
    return (polled[0].revents != 0, polled[1].revents != 0)
  }
}
