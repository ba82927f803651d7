/// One interface that a service offers.
public protocol VarlinkInterface: Sendable {
  /// In reverse domain notation: `org.example.Interface`.
  var name: String { get }

  /// The interface definition, as `GetInterfaceDescription` returns it.
  var description: String { get }

  /// Answers a call, on the thread of its connection; calls of other connections run beside it.
  ///
  /// Send exactly one last reply, or throw. A ``VarlinkError`` is sent as it is; any other error
  /// is reported to the server's observer, and the caller gets the error `InternalError` of this
  /// interface, without details.
  ///
  /// - Parameters:
  ///   - method: without the interface's name. Throw ``VarlinkError/methodNotFound(_:)`` when
  ///     there is none of that name.
  ///   - call: not to be kept beyond the return.
  func call(_ method: String, _ call: VarlinkCall) throws
}
