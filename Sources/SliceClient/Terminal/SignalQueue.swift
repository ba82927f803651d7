import CTerminal
import Descriptor
import Glibc

/// Signals that wait to be read instead of interrupting. Those that the process was started to
/// ignore stay ignored.
public struct SignalQueue: ~Copyable {
  private let descriptor: OwnedFD

  /// From now on these signals are blocked and come here.
  public init(_ signals: [Int32]) throws(SystemError) {
    descriptor = OwnedFD(
      adopting: try checked("signalfd") { terminal_signal_descriptor(signals, signals.count) })
  }

  /// From now on these signals wait until a queue for them is made. (A later queue gets what came
  /// before it: a signal that is blocked stays pending for the process.)
  static func hold(_ signals: [Int32]) {
    var set = sigset_t()
    sigemptyset(&set)
    for signal in signals { sigaddset(&set, signal) }
    sigprocmask(SIG_BLOCK, &set, nil)
  }

  /// Readable (poll(2)) when a signal waits.
  public var pollDescriptor: Int32 { descriptor.rawValue }

  /// The next one, nil when none waits.
  public func next() -> Int32? {
    let signal = terminal_next_signal(descriptor.rawValue)
    return signal > 0 ? signal : nil
  }
}
