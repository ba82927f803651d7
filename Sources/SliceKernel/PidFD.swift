import CKernel
import Descriptor
import Glibc
import SliceModel

/// A process, held so that its number cannot come to mean another one (pidfd_open(2)).
public final class PidFD: Sendable {
  /// In the supervisor's PID namespace; for showing, never for signalling.
  public let pid: Int32
  private let descriptor: OwnedFD

  public init(pid: Int32, adopting descriptor: consuming OwnedFD) {
    self.pid = pid
    self.descriptor = descriptor
  }

  /// ESRCH when there is no such process.
  public init(pid: Int32) throws(SystemError) {
    self.pid = pid
    descriptor = OwnedFD(
      adopting: try checked("pidfd_open", "\(pid)") { kernel_pidfd_open(pid) })
  }

  public var rawValue: Int32 { descriptor.rawValue }

  /// ESRCH once the process has ended.
  public func signal(_ number: Int32) throws(SystemError) {
    try checked("pidfd_send_signal", "\(pid), \(number)") {
      kernel_pidfd_signal(rawValue, number)
    }
  }

  /// A copy of one of its descriptors. ESRCH once it has ended, EBADF where it has none of that number.
  public func descriptor(_ number: Int32, label: String) throws(SystemError) -> SharedFD {
    SharedFD(
      OwnedFD(
        adopting: try checked("pidfd_getfd", "\(pid), \(number)") {
          kernel_pidfd_descriptor(rawValue, number)
        }), label: label)
  }

  /// Whether the process has ended, waiting for it up to `milliseconds` (-1: for ever).
  public func hasEnded(within milliseconds: Int32 = 0) -> Bool {
    var entry = pollfd(fd: rawValue, events: Int16(POLLIN), revents: 0)
    while true {
      let ready = poll(&entry, 1, milliseconds)
      if ready < 0, errno == EINTR { continue }
      return ready > 0
    }
  }

  /// Takes the exit status of a child, waiting for its end. ECHILD for what is not a child.
  public func wait() throws(SystemError) -> ExitStatus {
    var code: Int32 = 0
    var status: Int32 = 0
    try checked("waitid(P_PIDFD)", "\(pid)") { kernel_pidfd_wait(rawValue, 0, &code, &status) }
    return code == CLD_EXITED ? .exited(UInt8(truncatingIfNeeded: status)) : .signaled(status)
  }
}
