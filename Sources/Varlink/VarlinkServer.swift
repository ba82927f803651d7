import Descriptor
import Synchronization

/// A Varlink service on a Unix stream socket: blocking calls on plain threads, one for each
/// connection, and hard bounds on what callers can make it hold.
public final class VarlinkServer: Sendable {
  /// What callers can make a server hold, and for how long.
  public struct Limits: Sendable {
    /// Connections at the same time, of all users.
    public var connections = 256
    /// Of these, the connections that root may have; they are set aside for it.
    public var connectionsOfRoot = 64
    /// The connections that any other user may have.
    public var connectionsOfUser = 32
    /// After this time without a call, a connection gives way when another needs its place.
    public var idleTime = Duration.seconds(60)
    /// From the first byte of a message to its last.
    public var receiveTime = Duration.seconds(10)
    /// For the caller to take in one reply.
    public var sendTime = Duration.seconds(10)
    /// Bytes of one message that a caller sends.
    public var messageSize = 1024 * 1024
    /// Arrays and objects within each other, the message itself being the first.
    public var messageDepth = 32
    /// JSON values and member names in one message.
    public var messageValues = 65_536
    /// Bytes of stack of each connection's thread, on which the interfaces' methods run.
    public var threadStackSize = 256 * 1024

    public init() {}

    /// How many connections one user may have.
    func connections(ofUser uid: UInt32) -> Int {
      uid == 0 ? connectionsOfRoot : connectionsOfUser
    }

    /// How many connections all users but root may have together.
    var sharedConnections: Int { max(0, connections - connectionsOfRoot) }
  }

  /// What an operator may want to know.
  public enum Event: Sendable {
    /// Connections were closed at once, there being no room. Reported once a second at most.
    case connectionsRefused(count: Int)
    /// A caller broke the protocol, or took too long.
    case connectionDropped(Peer, ConnectionFailure)
    /// The implementation of a method failed in a way that its interface does not declare.
    case callFailed(Peer, method: String, any Error)
    /// A connection could not be taken or served.
    case acceptFailed(SystemError)
  }

  private let service: Service
  private let stopEvent: OwnedFD

  /// - Parameters:
  ///   - info: what `org.varlink.service.GetInfo` answers.
  ///   - interfaces: of different names.
  ///   - observe: is called on the server's threads, and should not block.
  /// - Throws: when the process has no descriptors left.
  public init(
    info: ServiceInfo, interfaces: [any VarlinkInterface], limits: Limits = Limits(),
    observe: @escaping @Sendable (Event) -> Void = { _ in }
  ) throws(SystemError) {
    service = Service(
      info: info, interfaces: interfaces, registry: try ConnectionRegistry(limits: limits),
      limits: limits, observe: observe)
    stopEvent = try makeEvent()
  }

  /// Begins to serve, on threads of the server's own. Call it once for each socket.
  public func start(on listener: consuming ListeningSocket) throws(SystemError) {
    let handover = Handover(listener)
    service.registry.threadStarts()
    do throws(SystemError) {
      // The closure keeps the server, and thereby the event, for as long as the thread runs.
      try SystemThread.start(name: "varlink-accept", stackSize: 256 * 1024) {
        if let listener = handover.take() {
          Acceptor(
            listener: listener, service: self.service, stopEvent: self.stopEvent.rawValue
          ).run()
        }
        self.service.registry.threadEnded()
      }
    } catch {
      service.registry.threadEnded()
      throw error
    }
  }

  /// How many connections there are now.
  public var connections: Int { service.registry.count }

  /// Stops for good: takes no connection any more, ends idle ones at once, and gives calls that
  /// are being answered until the deadline. Then their connections are cut. Not to be called by a
  /// method, for which it would wait.
  ///
  /// - Returns: how many calls are still running one second after that; their threads can't be
  ///   ended from outside.
  @discardableResult
  public func stop(within time: Duration) -> Int {
    raise(event: stopEvent)
    service.registry.beginStopping()
    if service.registry.waitForThreads(until: .after(time)) == 0 { return 0 }
    service.registry.cutConnections()
    return service.registry.waitForThreads(until: .after(.seconds(1)))
  }
}
