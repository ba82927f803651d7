import CSystem
import Glibc

/// A client of the supervisor's socket that keeps to no protocol.
final class RawClient {
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = system_unix_socket(0)
    guard descriptor >= 0 else { throw SuiteError("socket: errno \(errno)") }
    // Neither to send nor to receive for ever.
    var patience = timeval(tv_sec: 5, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    guard system_unix_connect(descriptor, path) == 0 else {
      let code = errno
      close(descriptor)
      throw SuiteError("connect(\(path)): errno \(code)")
    }
  }

  deinit { close(descriptor) }

  /// - Returns: whether the other side took it all.
  func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Sends one message and reads the reply, up to its end; empty when there is none.
  /// - Parameter descriptors: travel with it.
  func exchange(_ message: String, descriptors: [Int32] = []) -> String {
    let bytes = Array(message.utf8) + [0]
    if descriptors.isEmpty {
      guard send(bytes) else { return "" }
    } else {
      let count = system_send(descriptor, bytes, bytes.count, descriptors, descriptors.count)
      guard count == bytes.count else { return "" }
    }
    var reply: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while !reply.contains(0) {
      let count = recv(descriptor, &part, part.count, 0)
      guard count > 0 else { break }
      reply += part[..<count]
    }
    return String(decoding: reply.prefix { $0 != 0 }, as: UTF8.self)
  }
}
