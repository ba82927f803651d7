/// What a slice is doing, as people and programs read it.
public enum SliceState: String, Sendable, Hashable, CaseIterable, Codable {
  /// Built and never started.
  case created
  case running
  /// Its processes are frozen.
  case paused
  /// Ended by request, or by itself with status 0.
  case stopped
  /// Ended by itself with another status, by a signal, or could not be started.
  case failed
}

/// How a process ended.
public enum ExitStatus: Sendable, Hashable {
  case exited(UInt8)
  case signaled(Int32)

  /// What a shell would say: the exit status, or 128 + the signal's number.
  public var shellStatus: Int32 {
    switch self {
    case .exited(let status): Int32(status)
    case .signaled(let signal): 128 + signal
    }
  }

  public var isSuccess: Bool { self == .exited(0) }
}

extension ExitStatus: CustomStringConvertible {
  public var description: String {
    switch self {
    case .exited(let status): "exited with status \(status)"
    case .signaled(let signal): "ended by signal \(signal)"
    }
  }
}
