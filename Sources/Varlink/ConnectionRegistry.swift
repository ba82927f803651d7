import Descriptor
import Glibc
import Synchronization

/// Which connections there are, who holds them, and whether there is room for another.
///
/// Users other than root share what remains when root's own number is set aside: however busy
/// they keep the server, the administrator gets through.
final class ConnectionRegistry: Sendable {
  /// Names one connection for as long as the registry lives.
  struct ID: Hashable, Sendable { fileprivate let number: UInt64 }

  private struct Entry {
    let uid: UInt32
    /// Borrowed: the connection leaves the registry before it closes.
    let descriptor: Int32
    /// nil while a message is received or a call is answered.
    var idleSince: ContinuousClock.Instant?
  }

  private struct State {
    var entries: [ID: Entry] = [:]
    var nextNumber: UInt64 = 0
    var isStopping = false
    /// Threads that have not ended; more than `entries` while evicted ones are ending.
    var threads = 0
  }

  private let limits: VarlinkServer.Limits
  private let state = Mutex(State())
  /// Readable once the registry is stopping and every thread has ended.
  private let drained: OwnedFD

  init(limits: VarlinkServer.Limits) throws(SystemError) {
    self.limits = limits
    drained = try makeEvent()
  }

  // MARK: Connections

  /// Enters a new connection, at the cost of an idle one when there is no room.
  /// - Returns: nil when it has to be refused.
  func admit(uid: UInt32, descriptor: Int32) -> ID? {
    state.withLock { state in
      if state.isStopping || !makeRoom(for: uid, in: &state.entries) { return nil }
      let id = ID(number: state.nextNumber)
      state.nextNumber += 1
      state.entries[id] = Entry(
        uid: uid, descriptor: descriptor, idleSince: ContinuousClock().now)
      return id
    }
  }

  /// To be called before the connection closes its descriptor.
  func remove(_ id: ID) {
    state.withLock { _ = $0.entries.removeValue(forKey: id) }
  }

  /// How many connections there are.
  var count: Int { state.withLock { $0.entries.count } }

  /// The connection waits for a call.
  /// - Returns: false when it must end instead, because the server stops or it was evicted.
  func markIdle(_ id: ID) -> Bool {
    state.withLock { state in
      state.entries[id]?.idleSince = ContinuousClock().now
      return !state.isStopping && state.entries[id] != nil
    }
  }

  /// A call is arriving or being answered: the connection is not to be evicted.
  /// - Returns: false when it was.
  func markBusy(_ id: ID) -> Bool {
    state.withLock { state in
      state.entries[id]?.idleSince = nil
      return state.entries[id] != nil
    }
  }

  private func makeRoom(for uid: UInt32, in entries: inout [ID: Entry]) -> Bool {
    let own = entries.filter { $0.value.uid == uid }
    if own.count >= limits.connections(ofUser: uid) { return evictOne(of: own, from: &entries) }
    if uid == 0 { return true }
    let shared = entries.filter { $0.value.uid != 0 }
    if shared.count >= limits.sharedConnections { return evictOne(of: shared, from: &entries) }
    return true
  }

  /// Ends the connection among `candidates` that has been idle longest, if long enough.
  private func evictOne(of candidates: [ID: Entry], from entries: inout [ID: Entry]) -> Bool {
    let now = ContinuousClock().now
    let idle = candidates.compactMap { id, entry in entry.idleSince.map { (id, since: $0) } }
    guard let (id, since) = idle.min(by: { $0.since < $1.since }),
      now - since >= limits.idleTime, let entry = entries.removeValue(forKey: id)
    else { return false }
    // Its thread wakes, finds the end of the stream, and closes.
    shutdown(entry.descriptor, Int32(SHUT_RDWR))
    return true
  }

  // MARK: Threads and their end

  /// A thread of the server is about to start.
  func threadStarts() { state.withLock { $0.threads += 1 } }

  /// A thread has released all it had, or could not be started.
  func threadEnded() {
    let isLast = state.withLock { state in
      state.threads -= 1
      return state.isStopping && state.threads == 0
    }
    if isLast { raise(event: drained) }
  }

  /// Admits nobody any more, and lets idle connections and calls that watch for it end. Replies
  /// can still be sent.
  func beginStopping() {
    let isDrained = state.withLock { state in
      state.isStopping = true
      for entry in state.entries.values { shutdown(entry.descriptor, Int32(SHUT_RD)) }
      return state.threads == 0
    }
    if isDrained { raise(event: drained) }
  }

  /// Cuts the connections that are left.
  func cutConnections() {
    state.withLock { state in
      for entry in state.entries.values { shutdown(entry.descriptor, Int32(SHUT_RDWR)) }
    }
  }

  /// Waits until every thread has ended. Only after ``beginStopping()``.
  /// - Returns: how many have not.
  func waitForThreads(until deadline: Deadline) -> Int {
    _ = try? awaitAny(of: [drained.rawValue], for: POLLIN, until: deadline)
    return state.withLock { $0.threads }
  }
}
