import CSystem
import Glibc

/// A system call that failed: which one, on what, and why.
public struct SystemError: Error, Sendable, Hashable {
  /// The errno, positive.
  public let code: Int32
  /// The call, as its manual page names it.
  public let operation: String
  /// What it was applied to, usually a path; nil where there is nothing to name.
  public let subject: String?

  public init(code: Int32, operation: String, subject: String? = nil) {
    self.code = code
    self.operation = operation
    self.subject = subject
  }

  /// The symbolic name of `code`, such as `ENOENT`; `errno 4711` for one the C library lacks.
  public var name: String { Self.text(system_errno_name(code)) ?? "errno \(code)" }

  /// The C library's explanation of `code`, in English whatever the locale.
  public var explanation: String { Self.text(system_errno_text(code)) ?? "unknown error" }

  private static func text(_ constant: UnsafePointer<CChar>?) -> String? {
    constant.map { String(cString: $0) }
  }
}

extension SystemError: CustomStringConvertible {
  /// `connect(/run/slices/sliced.sock): ENOENT: No such file or directory`
  public var description: String { "\(operation)(\(subject ?? "")): \(name): \(explanation)" }
}

/// Makes a system call that reports failure as -1 and errno.
///
/// - Parameters:
///   - operation: the call's name, for the error.
///   - subject: what it is applied to, for the error.
///   - call: makes the call, and nothing after it that could change errno.
/// - Returns: what the call returned, never -1.
@discardableResult
public func checked<Result: SignedInteger>(
  _ operation: String, _ subject: @autoclosure () -> String? = nil, _ call: () -> Result
) throws(SystemError) -> Result {
  let result = call()
  if result == -1 {
    let code = errno
    throw SystemError(code: code, operation: operation, subject: subject())
  }
  return result
}

/// Like ``checked(_:_:_:)``, and makes the call again when a signal interrupts it.
/// Not for close(2), which has released the descriptor even then.
@discardableResult
public func retryingInterrupts<Result: SignedInteger>(
  _ operation: String, _ subject: @autoclosure () -> String? = nil, _ call: () -> Result
) throws(SystemError) -> Result {
  while true {
    let result = call()
    if result != -1 { return result }
    let code = errno
    if code != EINTR {
      throw SystemError(code: code, operation: operation, subject: subject())
    }
  }
}
