import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// The raw sockets of one slice that runs: its broker, what that is to grant, and what it takes to
/// start the next one.
///
/// A broker that ends is followed by another, a moment later; until then who asks for a socket waits.
final class SliceRawSockets: Sendable {
  /// What the rest of the node has to know.
  enum Finding: Sendable {
    case refused(RawControl.Refusal, count: UInt64)
    /// With the reason where the next one could not be started.
    case brokerLost(reason: String?)
    case brokerStarted(pid: Int32)
    /// A new broker could not find all that the grants forbid.
    case unsettled(RawControl.Outcome)
  }

  let name: SliceName
  private let slice: PidFD
  private let listener: SharedFD
  private let state: SharedFD
  private let layout: SliceLayout
  private let cgroup: SliceCgroup
  private let launcher: BrokerLauncher
  /// Path of what hands packets to AF_XDP sockets.
  private let receiver: String

  /// The listener of a command that entered.
  private struct Visitor {
    let listener: SharedFD
    /// By the present broker.
    var isServed: Bool

    /// Whether nobody is left under the filter (seccomp_unotify(2): then its listener hangs up).
    var isUnused: Bool {
      var entry = pollfd(fd: listener.rawValue, events: 0, revents: 0)
      return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
    }
  }

  private struct State {
    var grants: RawGrants
    var ringBytes: UInt64
    var broker: RunningBroker?
    /// The broker knows `grants` and all of `visitors`.
    var isSettled = false
    var visitors: [Visitor] = []
    /// Where brokers enter AF_XDP sockets, while they are granted.
    var xdpSockets: SharedFD?
    var failures: UInt64 = 0
    /// When to try again, on the monotonic clock.
    var nextTry: UInt64 = 0
    var refused: UInt64 = 0
    var limit = RefusalLimit()
    var findings: [Finding] = []
  }
  private let it: Mutex<State>

  /// Milliseconds: the broker searches all processes for five seconds at most (SWEEP_SECONDS).
  private static let commandTimeout: Int32 = 9000
  /// The same where a try may fail: the broker of a slice that is paused does not answer.
  private static let tryTimeout: Int32 = 2000
  /// Nanoseconds from the end of a broker to the start of the next: the slice itself may be ending.
  private static let pause: UInt64 = 100_000_000
  /// Tries that may fail before it is told, and a broker that does not answer is replaced.
  private static let patience: UInt64 = 3

  init(
    _ name: SliceName, slice: PidFD, listener: SharedFD, state: SharedFD, layout: SliceLayout,
    cgroup: SliceCgroup, launcher: BrokerLauncher, receiver: String, grants: RawGrants,
    ringBytes: UInt64
  ) {
    self.name = name
    self.slice = slice
    self.listener = listener
    self.state = state
    self.layout = layout
    self.cgroup = cgroup
    self.launcher = launcher
    self.receiver = receiver
    it = Mutex(State(grants: grants, ringBytes: ringBytes))
  }

  var isOver: Bool { slice.hasEnded() }

  /// Calls that were refused since the supervisor's start.
  var refused: UInt64 { it.withLock { $0.refused } }
  /// Nil: there is none at the moment.
  var brokerPID: Int32? { it.withLock { $0.broker?.process.pid } }

  // MARK: - Starting

  /// Starts the broker and tells it the grants.
  func begin() throws(SliceError) {
    try it.withLock { (it) throws(SliceError) in
      try prepareReceiver(&it)
      it.broker = try launch()
      do throws(SystemError) {
        try settle(&it, Self.commandTimeout)
      } catch {
        stop(&it)
        throw SliceError(error).within("grant raw.allow")
      }
    }
  }

  private func launch() throws(SliceError) -> RunningBroker {
    try launcher.launch(
      name, process: slice, listener: listener, state: state, layout: layout, cgroup: cgroup)
  }

  /// Ends the broker, if there is one.
  func end() { it.withLock { stop(&$0) } }

  private func stop(_ it: inout State) {
    if let broker = it.broker {
      try? broker.process.signal(SIGKILL)  // ESRCH: it has ended
      _ = try? broker.process.wait()  // ECHILD: an earlier supervisor's
    }
    it.broker = nil
    it.isSettled = false
    for place in it.visitors.indices { it.visitors[place].isServed = false }
  }

  /// Tells the broker what it does not know.
  private func settle(_ it: inout State, _ timeout: Int32) throws(SystemError) {
    guard let broker = it.broker, !it.isSettled else { return }
    let outcome = try grant(&it, broker, timeout)
    if outcome.isUnsettled { it.findings.append(.unsettled(outcome)) }
    it.visitors.removeAll(where: \.isUnused)
    for place in it.visitors.indices where !it.visitors[place].isServed {
      let listener = it.visitors[place].listener
      try broker.control.listen(listener, timeout: timeout) { note($0, &it) }
      it.visitors[place].isServed = true
    }
    it.isSettled = true
  }

  private func grant(
    _ it: inout State, _ broker: RunningBroker, _ timeout: Int32
  ) throws(SystemError) -> RawControl.Outcome {
    // Before the grant, so that whoever is told that it holds can use it.
    if it.grants.hasXDP, let sockets = it.xdpSockets {
      try broker.control.deliver(to: sockets, timeout: timeout) { note($0, &it) }
    }
    let (grants, bytes) = (it.grants, it.ringBytes)
    return try broker.control.grant(grants, ringBytes: bytes, timeout: timeout) { note($0, &it) }
  }

  /// Has the slice's packets handed to AF_XDP sockets, where these are granted: by what an earlier supervisor
  /// has put there, if it has.
  private func prepareReceiver(_ it: inout State) throws(SliceError) {
    guard it.grants.hasXDP, it.xdpSockets == nil else { return }
    let namespace = try NetworkNamespace(of: slice)
    if let found = try namespace.xdpSockets() {
      it.xdpSockets = found
    } else {
      it.xdpSockets = try namespace.receiveForXDP(object: receiver, state: state)
    }
  }

  /// Ends that. What is open receives nothing any more already: the broker has seen to it.
  private func removeReceiver(_ it: inout State) {
    guard it.xdpSockets != nil else { return }
    it.xdpSockets = nil
    // Left there, it lets everything pass.
    try? NetworkNamespace(of: slice).endReceivingForXDP()
  }

  /// After a command that failed: its answer may still come, and must not be taken for another's.
  private func reconnect(_ it: inout State) {
    it.isSettled = false
    // Where that fails the next try, or the next broker, has a connection of its own.
    guard let broker = it.broker, !broker.process.hasEnded(),
      let control = try? RawControl(path: layout.broker)
    else { return }
    it.broker = RunningBroker(process: broker.process, control: control)
  }

  // MARK: - Changing

  /// Replaces the grants, also for brokers to come. On failure it is as it was.
  func change(
    to grants: RawGrants, ringBytes: UInt64
  ) throws(SliceError) -> RawControl.Outcome {
    try it.withLock { (it) throws(SliceError) in
      let before = (it.grants, it.ringBytes)
      (it.grants, it.ringBytes) = (grants, ringBytes)
      defer { if !it.grants.hasXDP { removeReceiver(&it) } }
      do throws(SliceError) {
        try prepareReceiver(&it)
        if let broker = it.broker, !broker.process.hasEnded(),
          let outcome = try? apply(&it, broker)
        {
          return outcome
        }
        // One that does not answer hangs in something, which may be the slice's doing: the next has
        // nothing of it, and what it says is what counts.
        stop(&it)
        let broker = try launch()
        it.broker = broker
        return try reporting("grant raw.allow") { () throws(SystemError) in
          try apply(&it, broker)
        }
      } catch {
        (it.grants, it.ringBytes) = before
        reconnect(&it)
        throw error
      }
    }
  }

  private func apply(
    _ it: inout State, _ broker: RunningBroker
  ) throws(SystemError) -> RawControl.Outcome {
    let outcome = try grant(&it, broker, Self.commandTimeout)
    try settle(&it, Self.commandTimeout)
    return outcome
  }

  /// Has the broker serve a command that enters, now or, where it has just been lost, soon.
  func listen(_ visitor: SharedFD) throws(SliceError) {
    try it.withLock { (it) throws(SliceError) in
      it.visitors.removeAll(where: \.isUnused)
      guard it.visitors.count < Self.mostVisitors else { throw tooManyVisitors }
      var isServed = false
      if let broker = it.broker {
        do throws(SystemError) {
          try broker.control.listen(visitor, timeout: Self.commandTimeout) { note($0, &it) }
          isServed = true
        } catch {
          guard error.code != EMFILE else { throw tooManyVisitors }
          reconnect(&it)
        }
      }
      it.visitors.append(Visitor(listener: visitor, isServed: isServed))
    }
  }

  /// The broker's own bound (LISTENERS, less the slice's).
  private static let mostVisitors = 255

  private var tooManyVisitors: SliceError {
    SliceError(
      .failed, "too many commands are in \(name) already: its broker serves \(Self.mostVisitors)",
      hint: "this is for slices with raw.allow; let some end first")
  }

  // MARK: - Looking after it

  struct Waits: Sendable {
    var broker: RunningBroker?
    /// On the monotonic clock; nil: for ever.
    var until: UInt64?
  }

  /// What to wait for until something is due; nil: somebody else is at it.
  var waits: Waits? {
    it.withLockIfAvailable { it in
      let isIdle = it.broker != nil && it.isSettled && it.findings.isEmpty
      return Waits(broker: it.broker, until: isIdle ? nil : it.nextTry)
    }
  }

  /// Does what is due. Nil: somebody else is at it.
  func look() -> [Finding]? {
    it.withLockIfAvailable { it in
      let now = kernel_monotonic()
      if let broker = it.broker {
        // Before its end is looked at: the last words of one that has ended.
        let isGone = (try? broker.control.receive { note($0, &it) }) == nil
        if broker.process.hasEnded() || isGone {
          stop(&it)
          it.nextTry = now + Self.pause
          it.findings.append(.brokerLost(reason: nil))
        }
      }
      if !it.isSettled, now >= it.nextTry { bringUp(&it, now) }
      // What a slice that ends takes along was no loss.
      if slice.hasEnded() { it.findings.removeAll() }
      guard it.broker != nil || it.failures > 0 || slice.hasEnded() else { return [] }
      defer { it.findings.removeAll() }
      return it.findings
    }
  }

  private func bringUp(_ it: inout State, _ now: UInt64) {
    guard !slice.hasEnded() else {
      it.nextTry = .max
      return
    }
    do {
      try prepareReceiver(&it)
      if it.broker == nil {
        if let found = launcher.find(cgroup, layout: layout) {
          it.broker = found
          it.visitors += launcher.visitors(of: found).map { Visitor(listener: $0, isServed: true) }
        } else {
          it.broker = try launch()
          it.findings.append(.brokerStarted(pid: it.broker!.process.pid))
        }
      }
      try settle(&it, Self.tryTimeout)
      it.failures = 0
    } catch {
      it.failures += 1
      // One that lives and does not answer, though nobody has stopped the slice, is of no use.
      if it.failures >= Self.patience, !cgroup.limits.isFrozen { stop(&it) } else { reconnect(&it) }
      it.nextTry = now + Self.pause << min(it.failures, 9)
      // Once, not at each try.
      if it.failures == Self.patience { it.findings.append(.brokerLost(reason: "\(error)")) }
    }
  }

  private func note(_ refusal: RawControl.Refusal, _ it: inout State) {
    let count = UInt64(refusal.untold) + 1
    it.refused += count
    if let all = it.limit.admit(count, at: kernel_monotonic()) {
      it.findings.append(.refused(refusal, count: all))
    }
  }
}
