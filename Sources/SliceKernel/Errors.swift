import Descriptor
import SliceModel

extension SliceError {
  /// A failed system call as an error for people: `mount(/proc): EPERM: Operation not permitted`.
  public init(_ error: SystemError, hint: String? = nil) {
    self.init(.failed, error.description, hint: hint)
  }
}

/// Runs `body`, turning a failed system call into a `SliceError` said of `operation`.
@discardableResult
public func reporting<Value: ~Copyable>(
  _ operation: String, hint: String? = nil, _ body: () throws(SystemError) -> Value
) throws(SliceError) -> Value {
  do {
    return try body()
  } catch {
    throw SliceError(error, hint: hint).within(operation)
  }
}
