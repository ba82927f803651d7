import Descriptor
import Glibc
import SliceInterface
import SliceModel
import Varlink

/// A command that runs inside a slice, with the caller's streams or terminal as its own.
public struct CommandSession: Sendable {
  /// Where the command's standard input comes from when it has no terminal.
  public enum Input: Sendable { case nothing, caller }

  private let supervisor: Supervisor

  public init(supervisor: Supervisor) { self.supervisor = supervisor }

  /// How the command, or the session, ended.
  public struct End: Sendable {
    /// What a shell would give: the command's own status, or 128 + a signal's number.
    public var status: Int32
    /// Why the command was ended, where the supervisor knows more than the status says.
    public var reason: String?
  }

  /// Runs it without a terminal. The caller's descriptors go to the command as they are, so that
  /// nothing stands between them; what must not go (terminals, directories) gets a pipe.
  ///
  /// - Parameter parameters: with `terminal` nil.
  public func run(_ parameters: ExecuteCall.Parameters, input: Input) throws(SliceError) -> End {
    try run("Execute", parameters, input: input)
  }

  /// The same of another method whose descriptors and answers are those of `Execute`.
  public func run(
    _ method: String, _ parameters: some Encodable, input: Input
  ) throws(SliceError) -> End {
    var streams = try CommandStreams(input: input)
    // The command may run a moment before the supervisor says so. Meanwhile these wait; the
    // others end slicectl, and, since that hangs up, the command.
    SignalQueue.hold([SIGUSR1, SIGUSR2, SIGWINCH])
    return try execute(method, parameters, descriptors: streams.passed.map(\.number)) { id, _ in
      // The command alone holds these now, so that its pipes end when it does.
      streams.passed = []
      return try SessionLoop(
        input: streams.input, outputs: streams.outputs, endsWithStreams: false,
        signals: [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH]
      ) { signal in
        supervisor.trySignal(execution: id, signal)
        return .goOn
      }
    }
  }

  /// Runs it on a terminal of the slice's own, which the caller's terminal shows.
  ///
  /// - Parameter parameters: `terminal` is filled in here.
  /// - Returns: with 128 + the signal's number when one ended the session from outside.
  public func runOnTerminal(
    _ parameters: ExecuteCall.Parameters, terminal: LocalTerminal
  ) throws(SliceError) -> End {
    var parameters = parameters
    parameters.terminal = terminal.size ?? TerminalSize(rows: 24, columns: 80)
    defer { LocalTerminal.restore() }
    return try execute("Execute", parameters, descriptors: []) { id, received in
      guard let descriptor = received.take(0) else { throw Self.incomplete }
      let master = Endpoint(descriptor)
      try master.makeNonBlocking()
      let loop = try SessionLoop(
        input: Relay(from: Endpoint(borrowing: STDIN_FILENO), to: master),
        outputs: [Relay(from: master, to: Endpoint(borrowing: STDOUT_FILENO))],
        endsWithStreams: true,
        signals: [SIGWINCH, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2]
      ) { signal in react(to: signal, of: id, terminal, master.number) }
      try terminal.enterRawMode()
      // It may have been resized since the call began.
      terminal.copySize(toMaster: master.number)
      return loop
    }
  }

  private func react(
    to signal: Int32, of id: String, _ terminal: LocalTerminal, _ master: Int32
  ) -> SessionLoop.Reaction {
    switch signal {
    case SIGWINCH: terminal.copySize(toMaster: master)
    case SIGTERM, SIGHUP: return .end(128 + signal)
    case SIGTSTP:
      LocalTerminal.restore()
      raise(SIGSTOP)
    case SIGCONT:
      // Whoever had the terminal meanwhile may have changed its mode and its size.
      LocalTerminal.restore()
      try? terminal.enterRawMode()  // `try?`: a terminal that has gone ends the input anyway
      terminal.copySize(toMaster: master)
    default: supervisor.trySignal(execution: id, signal)
    }
    return .goOn
  }

  /// Makes the call, and stays until the command or the session has ended.
  /// - Parameter begin: is called when the command runs, with its id and what came beside it.
  private func execute(
    _ method: String, _ parameters: some Encodable, descriptors: [Int32],
    begin: (String, ReceivedDescriptors) throws -> SessionLoop
  ) throws(SliceError) -> End {
    var session: SessionLoop?
    var end: End?
    try supervisor.stream(
      method, parameters, returning: ExecuteCall.Reply.self, descriptors: descriptors
    ) { reply, received, connection in
      if session == nil, let id = reply.id { session = try begin(id, received) }
      if let status = reply.exitCode ?? reply.signal.map({ 128 + $0 }) {
        end = End(status: status, reason: reply.reason)
        session?.finish()
        return .stop
      }
      guard let session else { throw Self.incomplete }
      switch try session.run(untilReplyOn: connection) {
      case .reply: return .next
      case .ended(let ended):
        end = End(status: ended)
        return .stop
      }
    }
    guard let end else { throw Self.incomplete }
    return end
  }

  private static var incomplete: SliceError {
    SliceError(.failed, "the supervisor's answer lacks the command's id, terminal or status")
  }
}
