import CSystem
import Descriptor
import Glibc

/// Takes connections and gives each a thread, or closes it at once when there is no room.
final class Acceptor {
  private let listener: ListeningSocket
  private let service: Service
  /// Readable when the server stops.
  private let stopEvent: Int32
  /// Kept to be given up when the process has no descriptor left: only then can the connection
  /// that waits be accepted and closed, instead of waking the loop for ever.
  private var spare: OwnedFD?
  private var refusals = RefusalCounter()

  init(listener: consuming ListeningSocket, service: Service, stopEvent: Int32) {
    self.listener = listener
    self.service = service
    self.stopEvent = stopEvent
    spare = Self.openSpare()
  }

  func run() {
    while true {
      do throws(SystemError) {
        let ready = try awaitAny(
          of: [stopEvent, listener.descriptor.rawValue], for: POLLIN,
          until: refusals.nextReport)
        if ready[0] { return }
        if ready[1] { try acceptOne() }
      } catch {
        service.observe(.acceptFailed(error))
        // What fails now is likely to fail again: leave the processor to others.
        usleep(100_000)
      }
      if let count = refusals.takeReport() { service.observe(.connectionsRefused(count: count)) }
    }
  }

  private func acceptOne() throws(SystemError) {
    let socket: OwnedFD
    do throws(SystemError) {
      socket = OwnedFD(
        adopting: try retryingInterrupts("accept4") { system_accept(listener.descriptor.rawValue) })
    } catch {
      switch error.code {
      case EAGAIN, ECONNABORTED: return
      case EMFILE, ENFILE:
        refuseOneWithSpare()
        throw error
      default: throw error
      }
    }
    let peer = try Peer(ofSocket: socket.rawValue)
    let descriptor = socket.rawValue
    guard let id = service.registry.admit(uid: peer.uid, descriptor: descriptor) else {
      refusals.add()
      return
    }
    try serve(socket, peer, id)
  }

  private func serve(
    _ socket: consuming OwnedFD, _ peer: Peer, _ id: ConnectionRegistry.ID
  ) throws(SystemError) {
    let service = service
    let channel = Handover(
      MessageChannel(socket: socket, maximumMessageSize: service.limits.messageSize))
    service.registry.threadStarts()
    do throws(SystemError) {
      try SystemThread.start(name: "varlink-peer", stackSize: service.limits.threadStackSize) {
        if let channel = channel.take() {
          ServerConnection(peer: peer, channel: channel, id: id, service: service).run()
        }
        service.registry.threadEnded()
      }
    } catch {
      // In this order: the registry must not know a descriptor that is closed.
      service.registry.remove(id)
      _ = channel.take()
      service.registry.threadEnded()
      throw error
    }
  }

  private func refuseOneWithSpare() {
    spare = nil
    let descriptor = system_accept(listener.descriptor.rawValue)
    if descriptor >= 0 { close(descriptor) }
    refusals.add()
    spare = Self.openSpare()
  }

  private static func openSpare() -> OwnedFD? { try? makeEvent() }
}

/// Gathers refusals, so that a flood of connections is no flood of reports.
private struct RefusalCounter {
  private static let interval = Duration.seconds(1)

  private var count = 0
  private var lastReport: ContinuousClock.Instant?

  mutating func add() { count += 1 }

  /// When a report will be due; never while there is nothing to report.
  var nextReport: Deadline {
    guard count > 0, let lastReport else { return .never }
    return .after(lastReport + Self.interval - ContinuousClock().now)
  }

  /// How many refusals to report now, at most once in the interval; nil for none.
  mutating func takeReport() -> Int? {
    let now = ContinuousClock().now
    if count == 0 { return nil }
    if let lastReport, now - lastReport < Self.interval { return nil }
    defer { count = 0 }
    lastReport = now
    return count
  }
}
