import CSystem
import Descriptor
import FoundationEssentials
import Glibc

/// A connection to a Varlink service, for one thread; calls block.
public final class VarlinkClient {
  /// Whether to go on with a call that replies several times.
  public enum Continuation: Sendable {
    case next
    /// Closes the connection: there is no other way to end such a call early.
    case stop
  }

  /// nil once something went wrong: the next reply could be another call's.
  private var channel: MessageChannel?
  private let messageGuard: MessageGuard

  /// Connects to the service that listens at `path`.
  ///
  /// - Parameters:
  ///   - path: at most 107 bytes.
  ///   - timeout: for a service so busy that it does not take the connection; nil waits for ever.
  ///   - maximumReplySize: bytes of one reply.
  /// - Throws: `connect` with ENOENT or ECONNREFUSED when no service is there, with EACCES when
  ///   the caller may not use it, with EAGAIN when it did not take the connection in time.
  public convenience init(
    path: String, timeout: Duration? = nil, maximumReplySize: Int = 64 * 1024 * 1024
  ) throws(SystemError) {
    let socket = try openUnixSocket()
    if let timeout { try Self.limitConnecting(socket, to: timeout) }
    try retryingInterrupts("connect", path) { system_unix_connect(socket.rawValue, path) }
    self.init(socket: socket, maximumReplySize: maximumReplySize)
  }

  /// Uses a connected Unix stream socket.
  public init(socket: consuming OwnedFD, maximumReplySize: Int = 64 * 1024 * 1024) {
    channel = MessageChannel(socket: socket, maximumMessageSize: maximumReplySize)
    messageGuard = MessageGuard(maximumDepth: 128, maximumValues: .max)
  }

  /// Who serves.
  public func peer() throws(SystemError) -> Peer {
    try Peer(ofSocket: channel?.rawDescriptor ?? -1)
  }

  /// For poll(2) beside other things: readable when a reply comes or the service has gone. nil
  /// when the connection is closed. Borrowed: never to be read, written or closed.
  public var rawDescriptor: Int32? { channel?.rawDescriptor }

  // MARK: Calls

  /// Calls a method that replies once.
  ///
  /// - Parameters:
  ///   - method: fully qualified.
  ///   - descriptors: sent beside the call; they stay the caller's.
  ///   - timeout: for the whole call; nil waits for ever.
  @discardableResult
  public func call<Reply: Decodable>(
    _ method: String, _ parameters: some Encodable = NoParameters(),
    returning type: Reply.Type = NoParameters.self, descriptors: [Int32] = [],
    timeout: Duration? = nil
  ) throws(VarlinkFailure) -> (reply: Reply, descriptors: ReceivedDescriptors) {
    let deadline = Deadline.after(timeout)
    let call = Call(method: method, parameters: parameters, more: nil, oneway: nil)
    try send(call, descriptors, until: deadline)
    let answer = try receive(type, until: deadline)
    if answer.continues { throw close(.malformed("a reply to come that was not asked for")) }
    return (answer.reply, answer.descriptors)
  }

  /// Calls a method that replies once, and leaves the reply's parameters as JSON text: for replies
  /// so large that `Codable` would take most of their time.
  ///
  /// - Parameter timeout: for the whole call; nil waits for ever.
  public func callForText(
    _ method: String, _ parameters: some Encodable = NoParameters(), timeout: Duration? = nil
  ) throws(VarlinkFailure) -> ArraySlice<UInt8> {
    let deadline = Deadline.after(timeout)
    let call = Call(method: method, parameters: parameters, more: nil, oneway: nil)
    try send(call, [], until: deadline)
    let message = try receiveMessage(until: deadline)
    guard let members = MemberRanges(message.bytes) else {
      throw close(.malformed("a reply whose members can't be told apart"))
    }
    if members["error"] != nil || members["continues"] != nil {
      let answer = try read(NoParameters.self, from: message)
      if answer.continues { throw close(.malformed("a reply to come that was not asked for")) }
    }
    return members["parameters"].map { message.bytes[$0] } ?? Array("{}".utf8)[...]
  }

  /// Calls a method that replies several times, and passes each reply to `body`, the last as well.
  ///
  /// - Parameters:
  ///   - timeout: for sending, and then for each reply; nil waits for ever.
  ///   - body: what it throws closes the connection, unless that reply was the last.
  /// - Throws: ``VarlinkFailure``, and what `body` throws.
  public func callMore<Reply: Decodable>(
    _ method: String, _ parameters: some Encodable = NoParameters(),
    returning type: Reply.Type, descriptors: [Int32] = [], timeout: Duration? = nil,
    _ body: (Reply, ReceivedDescriptors) throws -> Continuation
  ) throws {
    let call = Call(method: method, parameters: parameters, more: true, oneway: nil)
    try send(call, descriptors, until: .after(timeout))
    var isComplete = false
    defer { if !isComplete { channel = nil } }
    repeat {
      let answer: (reply: Reply, descriptors: ReceivedDescriptors, continues: Bool)
      do throws(VarlinkFailure) {
        answer = try receive(type, until: .after(timeout))
      } catch {
        if case .replied = error { isComplete = true }
        throw error
      }
      isComplete = !answer.continues
      if try body(answer.reply, answer.descriptors) == .stop { return }
    } while !isComplete
  }

  /// Calls a method without waiting for a reply; there will be none, not even an error.
  public func callOneway(
    _ method: String, _ parameters: some Encodable = NoParameters(), descriptors: [Int32] = [],
    timeout: Duration? = nil
  ) throws(VarlinkFailure) {
    let call = Call(method: method, parameters: parameters, more: nil, oneway: true)
    try send(call, descriptors, until: .after(timeout))
  }

  // MARK: Introspection

  /// What the service says about itself.
  public func info(timeout: Duration? = nil) throws(VarlinkFailure) -> GetInfoReply {
    try call(
      "\(ServiceInterface.name).GetInfo", returning: GetInfoReply.self, timeout: timeout
    ).reply
  }

  /// The definition of one of the service's interfaces.
  public func interfaceDescription(
    of interface: String, timeout: Duration? = nil
  ) throws(VarlinkFailure) -> String {
    try call(
      "\(ServiceInterface.name).GetInterfaceDescription",
      GetInterfaceDescriptionParameters(interface: interface),
      returning: GetInterfaceDescriptionReply.self, timeout: timeout
    ).reply.description
  }

  // MARK: Messages

  private func send(
    _ call: some Encodable, _ descriptors: [Int32], until deadline: Deadline
  ) throws(VarlinkFailure) {
    let bytes: Data
    do {
      bytes = try encodeMessage(call)
    } catch {
      // Nothing was sent: the connection stays usable.
      throw .connection(.malformed("the parameters can't be encoded: \(error)"))
    }
    do throws(ConnectionFailure) {
      guard channel != nil else { throw ConnectionFailure.closed }
      try channel!.send(bytes, descriptors: descriptors, until: deadline)
    } catch {
      throw close(error)
    }
  }

  private func receive<Reply: Decodable>(
    _ type: Reply.Type, until deadline: Deadline
  ) throws(VarlinkFailure) -> (reply: Reply, descriptors: ReceivedDescriptors, continues: Bool) {
    try read(type, from: try receiveMessage(until: deadline))
  }

  private func read<Reply: Decodable>(
    _ type: Reply.Type, from message: Message
  ) throws(VarlinkFailure) -> (reply: Reply, descriptors: ReceivedDescriptors, continues: Bool) {
    let text = Data(message.bytes)
    do {
      let header = try JSONDecoder().decode(ReplyHeader.self, from: text)
      if let name = header.error {
        throw VarlinkFailure.replied(ErrorReply(name: name, text: text))
      }
      let reply = try decodeParameters(type, from: text)
      return (reply, message.descriptors, header.continues ?? false)
    } catch let failure as VarlinkFailure {
      throw failure
    } catch {
      throw close(.malformed("an unexpected reply: \(error)"))
    }
  }

  private func receiveMessage(until deadline: Deadline) throws(VarlinkFailure) -> Message {
    do throws(ConnectionFailure) {
      guard channel != nil else { throw ConnectionFailure.closed }
      let message = try channel!.receive(until: deadline)
      try messageGuard.check(message.bytes)
      return message
    } catch {
      throw close(error)
    }
  }

  /// Gives the connection up because of `failure`.
  private func close(_ failure: ConnectionFailure) -> VarlinkFailure {
    channel = nil
    return .connection(failure)
  }

  // A Unix socket's connect(2) obeys the send timeout (unix(7)).
  private static func limitConnecting(
    _ socket: borrowing OwnedFD, to timeout: Duration
  ) throws(SystemError) {
    let descriptor = socket.rawValue
    let (seconds, attoseconds) = timeout.components
    // Zero would mean no limit.
    let microseconds = max(Int(attoseconds / 1_000_000_000_000), seconds == 0 ? 1 : 0)
    var time = timeval(tv_sec: Int(seconds), tv_usec: microseconds)
    try checked("setsockopt(SO_SNDTIMEO)") {
      setsockopt(
        descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }
  }
}
