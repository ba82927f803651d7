import Glibc

/// The one owner of an open file descriptor; closes it when it goes.
public struct OwnedFD: ~Copyable, Sendable {
  /// The descriptor's number. It is borrowed: valid while the owner lives, never to be closed.
  public let rawValue: Int32

  /// Takes over `rawValue`, which must be open and which nothing else may close.
  public init(adopting rawValue: Int32) {
    precondition(rawValue >= 0, "not a descriptor: \(rawValue)")
    self.rawValue = rawValue
  }

  deinit { _ = Glibc.close(rawValue) }

  /// Gives up the ownership: closing is now the caller's duty.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }

  /// Closes now, and reports what close(2) says. The descriptor is gone even after an error.
  public consuming func close() throws(SystemError) {
    let number = release()
    try checked("close", "descriptor \(number)") { Glibc.close(number) }
  }

  /// A second descriptor for the same open file, close-on-exec.
  public borrowing func duplicate() throws(SystemError) -> OwnedFD {
    let number = rawValue
    return OwnedFD(
      adopting: try checked("fcntl(F_DUPFD_CLOEXEC)", "descriptor \(number)") {
        fcntl(number, F_DUPFD_CLOEXEC, 0)
      })
  }
}
