import CSystem
import Descriptor
import FoundationEssentials
import Glibc

/// One message: JSON text without its terminating NUL, and the descriptors beside it.
struct Message {
  var bytes: [UInt8]
  let descriptors: ReceivedDescriptors
}

/// Messages over one connected Unix stream socket: each is terminated by a NUL, and descriptors
/// belong to the message whose bytes they were sent with.
///
/// Nothing is read beyond the end of a message. What follows stays in the kernel, so that the
/// descriptors of the next message can't be taken for this one's (recv may glue both together),
/// and so that an idle connection holds no buffer.
struct MessageChannel: ~Copyable, Sendable {
  /// The most bytes that a message may have; more drops the connection.
  let maximumMessageSize: Int
  private let socket: OwnedFD

  /// - Parameter socket: connected; blocking or not makes no difference.
  init(socket: consuming OwnedFD, maximumMessageSize: Int) {
    self.socket = socket
    self.maximumMessageSize = maximumMessageSize
  }

  var rawDescriptor: Int32 { socket.rawValue }

  // MARK: Receiving

  /// Waits for a message to begin.
  /// - Returns: false when the other side has closed the connection instead.
  func waitForMessage(until deadline: Deadline) throws(ConnectionFailure) -> Bool {
    var byte: UInt8 = 0
    return try whenReady(POLLIN, until: deadline) { system_peek($0, &byte, 1) } > 0
  }

  /// Receives the message that has begun.
  func receive(until deadline: Deadline) throws(ConnectionFailure) -> Message {
    var message = Message(bytes: [], descriptors: ReceivedDescriptors())
    while true {
      let (length, isLast) = try peekPart(until: deadline)
      if message.bytes.count + length > maximumMessageSize + (isLast ? 1 : 0) {
        throw .messageTooLarge(limit: maximumMessageSize)
      }
      try takePart(of: length, into: &message, until: deadline)
      if isLast && message.bytes.last == 0 {
        message.bytes.removeLast()
        return message
      }
    }
  }

  /// On the stack of a thread that may have a small one.
  private static let partSize = 16 * 1024

  /// How many bytes of the message are there to be taken, and whether its end is among them.
  private func peekPart(
    until deadline: Deadline
  ) throws(ConnectionFailure) -> (length: Int, isLast: Bool) {
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Self.partSize) {
      part throws(ConnectionFailure) in
      let length = try whenReady(POLLIN, until: deadline) {
        system_peek($0, part.baseAddress, part.count)
      }
      if length == 0 { throw .closed }
      if let end = part[..<length].firstIndex(of: 0) { return (end + 1, true) }
      return (length, false)
    }
  }

  private func takePart(
    of length: Int, into message: inout Message, until deadline: Deadline
  ) throws(ConnectionFailure) {
    var numbers = [Int32](repeating: -1, count: ReceivedDescriptors.maximum)
    var count = 0
    var truncated = false
    let start = message.bytes.count
    message.bytes.append(contentsOf: repeatElement(0, count: length))
    let received = try whenReady(POLLIN, until: deadline) { socket in
      message.bytes.withUnsafeMutableBytes {
        system_receive(socket, $0.baseAddress! + start, length, &numbers, &count, &truncated)
      }
    }
    message.bytes.removeLast(length - received)
    message.descriptors.adopt(numbers.prefix(count))
    if received == 0 { throw .closed }
    if truncated || message.descriptors.count > ReceivedDescriptors.maximum {
      throw .tooManyDescriptors
    }
  }

  // MARK: Sending

  /// Sends a message, terminating NUL included. `descriptors` stay the caller's.
  func send(
    _ bytes: Data, descriptors: [Int32], until deadline: Deadline
  ) throws(ConnectionFailure) {
    guard descriptors.count <= ReceivedDescriptors.maximum else { throw .tooManyDescriptors }
    var sent = 0
    while sent < bytes.count {
      // Those that travel go with the first byte (unix(7)), hence with the first success.
      let beside = sent == 0 ? descriptors : []
      sent += try whenReady(POLLOUT, until: deadline) { socket in
        bytes.withUnsafeBytes {
          system_send(socket, $0.baseAddress! + sent, $0.count - sent, beside, beside.count)
        }
      }
    }
  }

  // MARK: Waiting

  /// Makes a non-blocking call, after waiting when it would have blocked.
  private func whenReady(
    _ events: Int32, until deadline: Deadline, _ call: (Int32) -> Int
  ) throws(ConnectionFailure) -> Int {
    while true {
      do throws(SystemError) {
        return try retryingInterrupts("socket") { call(socket.rawValue) }
      } catch {
        switch error.code {
        case EAGAIN: break
        case ECONNRESET, EPIPE: throw .closed
        default: throw .system(error)
        }
      }
      try waitUntilReady(for: events, until: deadline)
    }
  }

  private func waitUntilReady(
    for events: Int32, until deadline: Deadline
  ) throws(ConnectionFailure) {
    let isReady: Bool
    do throws(SystemError) {
      isReady = try awaitAny(of: [socket.rawValue], for: events, until: deadline)[0]
    } catch {
      throw .system(error)
    }
    if !isReady { throw .timedOut }
  }
}
