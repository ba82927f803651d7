import Descriptor
import Glibc
import SliceInterface
import SliceModel
import Varlink

/// The supervisor of this node, as a client sees it. Every call makes a connection of its own.
public struct Supervisor: Sendable {
  /// Where it listens.
  public let socketPath: String

  public init(socketPath: String = SliceInterface.defaultSocket) { self.socketPath = socketPath }

  /// For calls that a working supervisor answers at once; others wait for as long as it takes.
  static let promptly = Duration.seconds(30)

  /// Makes a call that is answered once.
  /// - Parameter timeout: nil waits for ever.
  func call<Reply: Decodable>(
    _ method: String, _ parameters: some Encodable = Empty(), returning: Reply.Type,
    timeout: Duration? = nil
  ) throws(SliceError) -> Reply {
    let client = try connect(within: timeout ?? Self.promptly)
    do throws(VarlinkFailure) {
      return try client.call(
        SliceInterface.method(method), parameters, returning: Reply.self, timeout: timeout
      ).reply
    } catch {
      throw SliceError(error, socketPath: socketPath)
    }
  }

  /// Makes a call that is answered once, and leaves the answer as JSON text.
  func callForText(
    _ method: String, _ parameters: some Encodable, timeout: Duration
  ) throws(SliceError) -> ArraySlice<UInt8> {
    let client = try connect(within: timeout)
    do throws(VarlinkFailure) {
      return try client.callForText(
        SliceInterface.method(method), parameters, timeout: timeout)
    } catch {
      throw SliceError(error, socketPath: socketPath)
    }
  }

  /// Makes a call that is answered several times, and passes every answer to `body`. Ends with
  /// the last, or when `body` returns `.stop`, which hangs up.
  ///
  /// - Parameters:
  ///   - descriptors: sent beside the call; they stay the caller's.
  ///   - onConnect: gets the connection's descriptor before the call is made.
  ///   - body: gets an answer, what came beside it, and the connection's descriptor, to be polled
  ///     for the next answer and for nothing else. May wait for other things before it returns.
  func stream<Reply: Decodable>(
    _ method: String, _ parameters: some Encodable, returning: Reply.Type,
    descriptors: [Int32] = [], onConnect: (Int32) throws -> Void = { _ in },
    _ body: (Reply, ReceivedDescriptors, _ connection: Int32) throws -> VarlinkClient.Continuation
  ) throws(SliceError) {
    let client = try connect(within: Self.promptly)
    do {
      try onConnect(client.rawDescriptor ?? -1)
      try client.callMore(
        SliceInterface.method(method), parameters, returning: Reply.self, descriptors: descriptors
      ) { reply, received in
        try body(reply, received, client.rawDescriptor ?? -1)
      }
    } catch let error as SliceError {
      throw error
    } catch let failure as VarlinkFailure {
      throw SliceError(failure, socketPath: socketPath)
    } catch {
      throw SliceError(.failed, "\(error)")
    }
  }

  private func connect(within timeout: Duration) throws(SliceError) -> VarlinkClient {
    do throws(SystemError) {
      return try VarlinkClient(path: socketPath, timeout: timeout)
    } catch {
      throw SliceError(connecting: error, to: socketPath)
    }
  }
}
