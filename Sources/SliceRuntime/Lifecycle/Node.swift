import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// Who asks for something.
public struct Caller: Sendable, Hashable {
  public var user: UInt32
  public var name: String
  public init(user: UInt32, name: String) {
    self.user = user
    self.name = name
  }
}

/// What happens to slices, for whoever records it. `kind` is a word of slicectl(1), "EVENTS".
public struct NodeEvent: Sendable {
  public var slice: SliceName?
  /// Of the slice.
  public var owner: UInt32?
  public var kind: String
  public var by: String?
  public var details: [String: String]
}

/// The slices of one host: makes, runs, changes and removes them. Needs no daemon, only that one
/// process at a time does it.
public final class Node: Sendable {
  public let layout: NodeLayout
  public let policy: NodePolicy
  public let images: ImageStore
  public let cgroup: NodeCgroup
  public let storage: SliceStorage
  public var device: BlockDevice? { storage.device }
  /// What all slices have together.
  public let capacity: NodeCapacity
  let store: RecordStore
  let environment: SliceEnvironment
  let table: Mutex<[SliceName: ManagedSlice]>
  let watcher: EndWatcher
  let memory: MemoryWatch
  let usage = UsageWatch()
  let refusals = RefusalWatch()
  let nodeMemory = Mutex(NodeMemory())
  /// Held while the floors are summed up and written, so that the newest sum is the last.
  let floors = Mutex<Void>(())
  let leases: LeaseKeeper
  /// Held while a capture begins.
  let captures = Mutex<Void>(())
  let ports = PortTable()
  private let claim: SharedFD
  /// Whether all that an earlier process left has been taken over.
  let isRecovered = Atomic(false)
  let notify: @Sendable (NodeEvent) -> Void

  /// Prepares the host and takes over what an earlier process left: slices that live are adopted,
  /// what belongs to none is removed.
  ///
  /// - Parameters:
  ///   - cgroupPath: see `NodeCgroup`.
  ///   - notify: called on any thread for every event.
  public init(
    layout: NodeLayout, policy: NodePolicy, cgroupPath: String? = nil,
    notify: @escaping @Sendable (NodeEvent) -> Void = { _ in }
  ) throws(SliceError) {
    self.layout = layout
    self.policy = policy
    self.notify = notify
    // Before anything is made: two supervisors would take each other's links for orphans.
    claim = SharedFD(try NetworkControl.claim(), label: "claim of the network namespace")
    let host = try HostFacts.read()
    capacity = try policy.capacity(of: host)
    try Self.makeDirectories(layout)
    cgroup = try NodeCgroup(path: cgroupPath)
    try Self.holdCeilings(of: cgroup, capacity, policy, processors: host.processors.count)
    storage = try SliceStorage(layout: layout, policy: policy)
    store = RecordStore(layout: layout)
    let (records, orphans) = try store.load()
    images = try ImageStore(
      layout: layout, keeping: Set(records.map(\.image.directory)))
    environment = try SliceEnvironment(
      layout: layout, policy: policy, cgroup: cgroup, images: images, storage: storage)
    watcher = try EndWatcher()
    memory = try MemoryWatch()
    leases = LeaseKeeper(terms: policy.lease)
    table = Mutex([:])
    try recover(records, orphans: orphans)
    isRecovered.store(true, ordering: .releasing)
    try environment.reaper.start()
    try environment.pool.start()
    try startWatching()
    try startKeepingLeases()
  }

  private static func makeDirectories(_ layout: NodeLayout) throws(SliceError) {
    try reporting("prepare the directories") { () throws(SystemError) in
      // Others may pass to the socket in the runtime directory, and no further.
      try Files.makeDirectories(layout.state, mode: 0o755)
      try checked("chmod", layout.state) { chmod(layout.state, 0o711) }
      try Files.makeDirectories(layout.runtime, mode: 0o755)
      for path in [
        layout.images, layout.slices, layout.stage, layout.running, layout.overlays,
        layout.overlayNamespaces,
      ] {
        try Files.makeDirectory(path, mode: 0o700, existingIsFine: true)
      }
    }
  }

  // MARK: - Parts

  func report(
    _ slice: ManagedSlice, _ kind: String, by user: String?, _ details: [String: String] = [:]
  ) {
    notify(
      NodeEvent(
        slice: slice.name, owner: slice.record.owner, kind: kind, by: user, details: details))
  }

  func save(_ slice: ManagedSlice) throws(SliceError) { try slice.save(store.save) }

  func perform(
    _ verb: String, _ slice: ManagedSlice, _ body: () throws(SliceError) -> Void
  ) throws(SliceError) -> SliceRecord {
    try slice.gate.run(verb, on: slice.name) { () throws(SliceError) in
      try requireExistence(slice)
      try body()
      return slice.record
    }
  }

  /// A slice may have been destroyed while somebody waited for its gate.
  func requireExistence(_ slice: ManagedSlice) throws(SliceError) {
    guard table.withLock({ $0[slice.name] === slice }) else {
      throw SliceError(.noSuchSlice, "there is no slice '\(slice.name)' any more")
    }
  }
}
