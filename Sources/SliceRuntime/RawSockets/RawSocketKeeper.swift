import CKernel
import CSystem
import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// The raw sockets of all slices that have any: one thread that hears what brokers tell, and starts
/// another where one has ended.
final class RawSocketKeeper: Sendable {
  private let launcher: BrokerLauncher
  private let layout: NodeLayout
  private let changed: SharedFD
  private let table = Mutex<[SliceName: SliceRawSockets]>([:])

  /// Numbers under which slice-init has them, behind those of `ServiceDescriptors`; an earlier
  /// version's slice-init has them there too.
  static let stateNumber = 6
  static let listenerNumber = LaunchPlan.firstFreeDescriptor(behind: stateNumber + 1)

  init(layout: NodeLayout) throws(SliceError) {
    launcher = try BrokerLauncher(layout: layout)
    self.layout = layout
    changed = try reporting("eventfd") { () throws(SystemError) in
      SharedFD(OwnedFD(adopting: try checked("eventfd") { system_event() }), label: "event")
    }
  }

  subscript(name: SliceName) -> SliceRawSockets? { table.withLock { $0[name] } }

  // MARK: - A slice that comes or goes

  /// Has what the slice will send by raw sockets judged, from its first packet on.
  func judge(_ namespace: NetworkNamespace) throws(SliceError) -> SharedFD {
    let judge = try RawJudge(object: layout.rawJudge)
    try judge.attach(to: namespace)
    return judge.state
  }

  /// The same for a slice that runs, in place of the judge that it has.
  func renewJudge(of process: PidFD) throws(SliceError) {
    let state = try reporting("find the state of raw sockets") { () throws(SystemError) in
      try Self.state(of: process)
    }
    try RawJudge(object: layout.rawJudge, state: state).attach(
      to: try NetworkNamespace(of: process))
  }

  private static func state(of process: PidFD) throws(SystemError) -> SharedFD {
    try process.descriptor(Int32(stateNumber), label: "state of raw sockets")
  }

  /// For a launch: takes the listener of the slice's first process, and has a broker serve it.
  func begin(
    _ name: SliceName, process: PidFD, listener: SharedFD, state: SharedFD, layout: SliceLayout,
    cgroup: SliceCgroup, grants: RawGrants, ringBytes: UInt64
  ) throws(SliceError) {
    let raw = SliceRawSockets(
      name, slice: process, listener: listener, state: state, layout: layout, cgroup: cgroup,
      launcher: launcher, receiver: self.layout.xdpReceiver, grants: grants, ringBytes: ringBytes)
    try raw.begin()
    enter(raw)
  }

  /// The same for a slice of an earlier supervisor, whose broker may live: it is looked for later, off the
  /// caller's path.
  func adopt(
    _ name: SliceName, process: PidFD, layout: SliceLayout, cgroup: SliceCgroup, grants: RawGrants,
    ringBytes: UInt64
  ) throws(SystemError) {
    enter(
      SliceRawSockets(
        name, slice: process,
        listener: try process.descriptor(Int32(Self.listenerNumber), label: "listener of a filter"),
        state: try Self.state(of: process), layout: layout, cgroup: cgroup, launcher: launcher,
        receiver: self.layout.xdpReceiver, grants: grants,
        ringBytes: ringBytes))
  }

  private func enter(_ raw: SliceRawSockets) {
    table.withLock { $0[raw.name] = raw }
    system_raise_event(changed.rawValue)
  }

  /// Forgets a slice that has ended, or not begun. Idempotent.
  func end(_ name: SliceName) {
    guard let raw = table.withLock({ $0.removeValue(forKey: name) }) else { return }
    raw.end()
    system_raise_event(changed.rawValue)
  }

  // MARK: - The thread

  /// - Parameter tell: called for what the owner should know, on the thread.
  func start(
    _ tell: @escaping @Sendable (SliceName, SliceRawSockets.Finding) -> Void
  ) throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "raw-sockets", stackSize: 512 << 10) { [self] in
        while true { turn(tell) }
      }
    }
  }

  private func turn(_ tell: (SliceName, SliceRawSockets.Finding) -> Void) {
    let all = table.withLock { Array($0.values) }
    // What is waited on is kept alive by this. Those that somebody else is at are looked at soon.
    let soon = SliceRawSockets.Waits(until: kernel_monotonic() + 20_000_000)
    let waits = all.map { $0.waits ?? soon }
    var entries = [changed.rawValue].map(Self.entry)
    for broker in waits.compactMap(\.broker) {
      entries += [Self.entry(broker.control.socket.rawValue), Self.entry(broker.process.rawValue)]
    }
    withExtendedLifetime(waits) {
      _ = poll(
        &entries, nfds_t(entries.count), Self.timeout(until: waits.compactMap(\.until).min()))
    }
    if entries[0].revents != 0 {
      var count: UInt64 = 0
      _ = read(changed.rawValue, &count, MemoryLayout<UInt64>.size)
    }
    for raw in all {
      for finding in raw.look() ?? [] { tell(raw.name, finding) }
    }
  }

  private static func entry(_ descriptor: Int32) -> pollfd {
    pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  }

  /// In milliseconds, for poll(2).
  private static func timeout(until end: UInt64?) -> Int32 {
    guard let end, end != .max else { return -1 }
    let now = kernel_monotonic()
    return end <= now ? 0 : Int32(clamping: (end - now) / 1_000_000 + 1)
  }
}
