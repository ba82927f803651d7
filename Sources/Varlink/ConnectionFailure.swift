import Descriptor

/// Why a connection is of no use any more.
public enum ConnectionFailure: Error, Sendable, Hashable {
  /// The other side closed it before the exchange was complete.
  case closed
  /// The other side did not send or read in time.
  case timedOut
  /// A message has more than this many bytes.
  case messageTooLarge(limit: Int)
  /// More than ``ReceivedDescriptors/maximum`` descriptors came with a message, or more than
  /// this process may open.
  case tooManyDescriptors
  /// What came is not a message of the protocol.
  case malformed(String)
  /// A system call failed.
  case system(SystemError)
}

extension ConnectionFailure: CustomStringConvertible {
  public var description: String {
    switch self {
    case .closed: "the other side closed the connection"
    case .timedOut: "the other side took too long"
    case .messageTooLarge(let limit): "the message is larger than \(limit) bytes"
    case .tooManyDescriptors: "too many file descriptors came with the message"
    case .malformed(let what): "not a Varlink message: \(what)"
    case .system(let error): error.description
    }
  }
}
