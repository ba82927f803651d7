import Descriptor
import Glibc

/// One end of a relay, or a descriptor to be passed on: the caller's own, or one made for it.
public final class Endpoint: Sendable {
  public let number: Int32
  private let owned: OwnedFD?

  /// A descriptor that stays open, such as standard output.
  public init(borrowing number: Int32) {
    self.number = number
    owned = nil
  }

  /// A descriptor that is closed with this object.
  public init(_ descriptor: consuming OwnedFD) {
    number = descriptor.rawValue
    owned = consume descriptor
  }

  /// Makes reads and writes return EAGAIN instead of waiting. This is a property of the open
  /// file, which others may share (fcntl(2)): only for what was made for this process.
  func makeNonBlocking() throws(SystemError) {
    let flags = try checked("fcntl(F_GETFL)") { fcntl(number, F_GETFL) }
    try checked("fcntl(F_SETFL)") { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
  }

  /// A pipe, both ends close-on-exec. (Swift can't import pipe2(2). Nothing else in this process
  /// starts programs meanwhile.)
  static func pipe() throws(SystemError) -> (reading: Endpoint, writing: Endpoint) {
    var ends: [Int32] = [-1, -1]
    try checked("pipe") { Glibc.pipe(&ends) }
    let reading = Endpoint(OwnedFD(adopting: ends[0]))
    let writing = Endpoint(OwnedFD(adopting: ends[1]))
    for end in ends { try checked("fcntl(F_SETFD)") { fcntl(end, F_SETFD, FD_CLOEXEC) } }
    return (reading, writing)
  }
}
