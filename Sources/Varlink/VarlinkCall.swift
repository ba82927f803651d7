import CSystem
import Descriptor
import FoundationEssentials

/// A call that is being answered: what was asked, by whom, and the ways to reply.
public final class VarlinkCall {
  /// Who calls.
  public let peer: Peer
  /// The method's fully qualified name.
  public let method: String
  /// The caller takes several replies.
  public let wantsMore: Bool
  /// The caller takes no reply; replies are discarded.
  public let isOneway: Bool
  /// What came beside the call. Parameters refer to them by index.
  public let descriptors: ReceivedDescriptors

  /// The last reply was sent, or need not be.
  private(set) var isAnswered = false

  private let text: Data
  private let connection: ServerConnection

  init(
    header: CallHeader, text: Data, descriptors: ReceivedDescriptors,
    connection: ServerConnection
  ) {
    peer = connection.peer
    method = header.method
    wantsMore = header.more ?? false
    isOneway = header.oneway ?? false
    self.descriptors = descriptors
    self.text = text
    self.connection = connection
  }

  // MARK: What was asked

  /// The parameters; those that `type` does not know are ignored.
  /// - Throws: `InvalidParameter` with the name of the parameter at fault.
  public func parameters<Parameters: Decodable>(
    as type: Parameters.Type = Parameters.self
  ) throws(VarlinkError) -> Parameters {
    try decode(type)
  }

  /// The parameters; those that `type` does not know are refused.
  /// - Throws: `InvalidParameter` with the name of the parameter at fault.
  public func parameters<Parameters: StrictParameters>(
    as type: Parameters.Type = Parameters.self
  ) throws(VarlinkError) -> Parameters {
    let known = Set(Parameters.CodingKeys.allCases.map(\.stringValue))
    let given = try decode(MemberNames.self).names
    if let unknown = given.sorted().first(where: { !known.contains($0) }) {
      throw .invalidParameter(unknown)
    }
    return try decode(type)
  }

  private func decode<Parameters: Decodable>(
    _ type: Parameters.Type
  ) throws(VarlinkError) -> Parameters {
    do {
      return try decodeParameters(type, from: text)
    } catch {
      throw .invalidParameter((error as? DecodingError)?.parameterName ?? "parameters")
    }
  }

  /// Takes the descriptor to which the parameter `parameter` refers by `index`.
  /// - Throws: `InvalidParameter` when there is none, or it was taken before.
  public func takeDescriptor(
    _ index: Int, parameter: String
  ) throws(VarlinkError) -> OwnedFD {
    guard let descriptor = descriptors.take(index) else { throw .invalidParameter(parameter) }
    return descriptor
  }

  /// A pidfd of the calling process: unlike ``Peer/pid`` it can't come to mean another one.
  /// - Throws: ENOPROTOOPT before Linux 6.5.
  public func openPeerPIDFD() throws(SystemError) -> OwnedFD {
    OwnedFD(
      adopting: try checked("getsockopt(SO_PEERPIDFD)") {
        system_peer_pidfd(connection.rawDescriptor)
      })
  }

  // MARK: Replying

  /// Sends the last reply. `descriptors` stay the caller's, and may be closed afterwards.
  /// - Throws: ``ConnectionFailure`` when the other side has gone or does not read: let it pass.
  public func reply(
    _ parameters: some Encodable = NoParameters(), descriptors: [Int32] = []
  ) throws {
    try send(Reply(parameters: parameters, continues: nil, error: nil), descriptors)
    isAnswered = true
  }

  /// Sends the last reply, whose parameters are JSON text already: an object. For replies so large
  /// that `Codable` would take most of their time.
  /// - Throws: as ``reply(_:descriptors:)``.
  public func reply(text parameters: [UInt8]) throws {
    if isAnswered { throw CallMisuse.repliedAgain }
    var message = Data(#"{"parameters":"#.utf8)
    message.append(contentsOf: parameters)
    message.append(contentsOf: [UInt8(ascii: "}"), 0])
    if !isOneway { try connection.send(message, descriptors: []) }
    isAnswered = true
  }

  /// Sends a reply after which others follow. `descriptors` stay the caller's.
  /// - Throws: `ExpectedMore` when the caller takes one reply only; ``ConnectionFailure``.
  public func replyContinues(_ parameters: some Encodable, descriptors: [Int32] = []) throws {
    try requireMore()
    try send(Reply(parameters: parameters, continues: true, error: nil), descriptors)
  }

  /// Throws `ExpectedMore` unless the caller takes several replies.
  public func requireMore() throws(VarlinkError) {
    if !wantsMore { throw .expectedMore }
  }

  func reply(error: VarlinkError) throws {
    func open(_ parameters: some Encodable) throws {
      try send(Reply(parameters: parameters, continues: nil, error: error.name), [])
    }
    try open(error.parameters)
    isAnswered = true
  }

  private func send(_ reply: some Encodable, _ descriptors: [Int32]) throws {
    if isAnswered { throw CallMisuse.repliedAgain }
    if isOneway { return }
    try connection.send(try encodeMessage(reply), descriptors: descriptors)
  }

  // MARK: Noticing that nobody waits any more

  /// The caller has gone, or has shut down its sending side, or the server is stopping: a long
  /// call should end.
  public var isHungUp: Bool {
    let ready = try? awaitAny(of: [hangUpDescriptor], for: Self.hangUpEvents, until: .after(.zero))
    return ready?[0] ?? true
  }

  /// To be polled for ``hangUpEvents`` beside whatever a long call waits for. Borrowed: valid
  /// during the call, never to be read, written or closed.
  public var hangUpDescriptor: Int32 { connection.rawDescriptor }

  /// The events of poll(2) with which ``hangUpDescriptor`` tells that ``isHungUp`` became true.
  public static let hangUpEvents = Int32(SYSTEM_POLL_HANGUP)
}
