import Synchronization

/// Carries one owned value into a thread's body, which may only capture copyable ones.
final class Handover<Value: ~Copyable & Sendable>: Sendable {
  private let content: Mutex<Value?>

  init(_ value: consuming sending Value) { content = Mutex(value) }

  /// The value, once.
  func take() -> Value? { content.withLock { $0.take() } }
}
