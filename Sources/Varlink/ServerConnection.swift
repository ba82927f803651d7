import Descriptor
import FoundationEssentials

/// One connection of a server, served on a thread of its own, one call after the other.
final class ServerConnection {
  let peer: Peer
  private let channel: MessageChannel
  private let id: ConnectionRegistry.ID
  private let service: Service
  /// Set once a reply was not sent whole: whatever followed would be taken for its rest.
  private var sendFailure: ConnectionFailure?

  init(
    peer: Peer, channel: consuming MessageChannel, id: ConnectionRegistry.ID, service: Service
  ) {
    self.peer = peer
    self.channel = channel
    self.id = id
    self.service = service
  }

  var rawDescriptor: Int32 { channel.rawDescriptor }

  /// Serves until the other side hangs up, misbehaves, or the server stops; then leaves the
  /// registry.
  func run() {
    defer { service.registry.remove(id) }
    do throws(ConnectionFailure) {
      while let message = try nextMessage() { try answer(message) }
    } catch {
      if error != .closed { service.observe(.connectionDropped(peer, error)) }
    }
  }

  func send(_ bytes: Data, descriptors: [Int32]) throws(ConnectionFailure) {
    if let sendFailure { throw sendFailure }
    do throws(ConnectionFailure) {
      try channel.send(bytes, descriptors: descriptors, until: .after(service.limits.sendTime))
    } catch {
      sendFailure = error
      throw error
    }
  }

  private func nextMessage() throws(ConnectionFailure) -> Message? {
    guard service.registry.markIdle(id), try channel.waitForMessage(until: .never),
      service.registry.markBusy(id)
    else { return nil }
    return try channel.receive(until: .after(service.limits.receiveTime))
  }

  private func answer(_ message: consuming Message) throws(ConnectionFailure) {
    try service.messageGuard.check(message.bytes)
    let text = Data(message.bytes)
    let header: CallHeader
    do {
      header = try JSONDecoder().decode(CallHeader.self, from: text)
    } catch {
      throw .malformed("it is not a call")
    }
    let call = VarlinkCall(
      header: header, text: text, descriptors: message.descriptors, connection: self)
    do {
      try answerOrThrow(call, isUpgrade: header.upgrade ?? false)
    } catch let failure as ConnectionFailure {
      throw failure
    } catch {
      throw .malformed("the reply can't be encoded: \(error)")
    }
  }

  private func answerOrThrow(_ call: VarlinkCall, isUpgrade: Bool) throws {
    do {
      if isUpgrade { throw VarlinkError.invalidParameter("upgrade") }
      try service.dispatch(call)
      // Nor is there one to whoever has left.
      if call.isAnswered || call.isOneway || call.isHungUp { return }
      throw CallMisuse.noReply
    } catch let failure as ConnectionFailure {
      throw failure
    } catch let error as VarlinkError where !call.isAnswered {
      try call.reply(error: error)
    } catch {
      service.observe(.callFailed(peer, method: call.method, error))
      if !call.isAnswered { try call.reply(error: service.internalError(for: call.method)) }
    }
  }
}

/// What the implementation of a method did wrong.
enum CallMisuse: String, Error, CustomStringConvertible {
  case noReply = "the method returned without a reply"
  case repliedAgain = "the method replied after its last reply"

  var description: String { rawValue }
}
