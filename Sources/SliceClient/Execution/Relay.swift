import Glibc

/// Bytes on their way from one descriptor to another, unchanged, at most a buffer at a time.
///
/// Driven from outside: poll `interests`, then call `advance`. An end that fails or is closed by
/// the other side closes the opposite one, as in a shell's pipe.
final class Relay {
  private var source: Endpoint?
  private var destination: Endpoint?
  private var buffer: [UInt8] = []

  /// Above this nothing more is read, so that a slow reader holds up a fast writer.
  private static let capacity = 64 << 10
  /// A pipe that poll(2) calls writable takes this much without blocking (pipe(7), PIPE_BUF).
  private static let writeSize = 4096

  init(from source: Endpoint, to destination: Endpoint) {
    self.source = source
    self.destination = destination
  }

  /// What to wait for.
  var interests: [pollfd] {
    var interests: [pollfd] = []
    if let source, buffer.count < Self.capacity {
      interests.append(pollfd(fd: source.number, events: Int16(POLLIN), revents: 0))
    }
    if let destination, !buffer.isEmpty {
      interests.append(pollfd(fd: destination.number, events: Int16(POLLOUT), revents: 0))
    }
    return interests
  }

  /// Which end was the first to close, once one has.
  private(set) var firstClosed: End?

  enum End { case source, destination }

  /// Reads and writes what `ready`, polled interests, say is possible.
  func advance(_ ready: [pollfd]) {
    func isReady(_ endpoint: Endpoint?) -> Bool {
      ready.contains { $0.fd == endpoint?.number && $0.revents != 0 }
    }
    if isReady(destination), !buffer.isEmpty { writeSome() }
    if isReady(source), buffer.count < Self.capacity { readSome() }
    if source == nil, buffer.isEmpty { destination = nil }
  }

  /// Passes on all that is there to be read now; the source must be non-blocking. For the rest of
  /// the output of a command that has ended: whoever still holds the other end is not waited for.
  func drain() {
    while destination != nil {
      while !buffer.isEmpty, destination != nil { writeSome(limit: buffer.count) }
      guard source != nil, readSome() else { return }
    }
  }

  /// - Returns: whether there were bytes.
  @discardableResult
  private func readSome() -> Bool {
    guard let source else { return false }
    let (count, code) = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16 << 10) { part in
      let count = read(source.number, part.baseAddress, part.count)
      let code = errno
      if count > 0 { buffer.append(contentsOf: part[..<count]) }
      return (count, code)
    }
    if count > 0 { return true }
    // EIO: the last program on a terminal has closed it (pty(7)), or the terminal is gone.
    if count == 0 || (code != EAGAIN && code != EINTR) {
      firstClosed = .source
      self.source = nil
    }
    return false
  }

  private func writeSome(limit: Int = Relay.writeSize) {
    guard let destination else { return }
    let count = write(destination.number, buffer, min(buffer.count, limit))
    let code = errno
    if count > 0 {
      buffer.removeFirst(count)
    } else if code == EAGAIN {
      // Only where somebody else made the caller's output non-blocking.
      var wait = pollfd(fd: destination.number, events: Int16(POLLOUT), revents: 0)
      poll(&wait, 1, -1)
    } else if code != EINTR {
      firstClosed = firstClosed ?? .destination
      self.destination = nil
      source = nil
    }
  }
}
