/// An error a person can act on: what failed, on what, why, and what to do next.
///
/// Every failure that leaves a module towards a user ends as one of these. The code decides the
/// exit status; the message is one sentence without a trailing period; the hint is the next step.
public struct SliceError: Error, Sendable, Hashable {
  /// What kind of failure this is. The raw value is the word used on the wire and in `--json`.
  public enum Code: String, Sendable, Hashable, CaseIterable, Codable {
    /// Something went wrong that fits nothing below.
    case failed = "Failed"
    /// The request itself is malformed: an unknown key, a value out of range, a bad name.
    case usage = "Usage"
    /// No slice has this name (or none that the caller may see).
    case noSuchSlice = "NoSuchSlice"
    /// Policy or ownership forbids it.
    case refused = "Refused"
    /// This host cannot enforce what was asked.
    case unenforceable = "Unenforceable"
    /// The supervisor does not answer.
    case noSupervisor = "NoSupervisor"
    /// It did not happen within the time given.
    case timedOut = "TimedOut"
    /// A command never ran because something before its execution failed.
    case commandNotRun = "CommandNotRun"
    /// The command exists and cannot be executed.
    case commandNotExecutable = "CommandNotExecutable"
    /// The command does not exist in the slice.
    case commandNotFound = "CommandNotFound"

    /// The exit status of `slicectl` for this code; the contract is in slicectl(1).
    public var exitStatus: Int32 {
      switch self {
      case .failed: 1
      case .usage: 2
      case .noSuchSlice: 3
      case .refused: 4
      case .unenforceable: 5
      case .noSupervisor: 6
      case .timedOut: 7
      case .commandNotRun: 125
      case .commandNotExecutable: 126
      case .commandNotFound: 127
      }
    }
  }

  public var code: Code
  /// One sentence: the operation, its object and the reason.
  public var message: String
  /// What the reader can do about it, when there is something.
  public var hint: String?

  public init(_ code: Code, _ message: String, hint: String? = nil) {
    self.code = code
    self.message = message
    self.hint = hint
  }

  /// The same error said of a larger operation: `create web: <message>`.
  public func within(_ operation: String) -> SliceError {
    SliceError(code, "\(operation): \(message)", hint: hint)
  }
}

extension SliceError: CustomStringConvertible {
  public var description: String { hint.map { "\(message) (\($0))" } ?? message }
}
