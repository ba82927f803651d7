import CKernel
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

  // MARK: - Looking

  public func names() -> [SliceName] { table.withLock { $0.keys.sorted() } }

  /// Every record, by name.
  public func records() -> [SliceRecord] {
    let slices = table.withLock { $0.values.map { $0 } }
    return slices.map { $0.record }.sorted { $0.name < $1.name }
  }

  /// The slice of this name. What is then done with it is done with this very one: should it be
  /// destroyed meanwhile, and another get its name, that other is not touched.
  public func slice(_ name: SliceName) throws(SliceError) -> ManagedSlice {
    guard let slice = table.withLock({ $0[name] }) else {
      throw SliceError(
        .noSuchSlice, "there is no slice '\(name)'", hint: "'slicectl list' shows the slices")
    }
    return slice
  }

  /// Names of the slices that use the image with this directory below the store.
  public func users(ofImageDirectory directory: String) -> [String] {
    records().filter { $0.image.directory == directory }.map(\.name)
  }

  public func status(_ name: SliceName) -> ServiceStatus? { ServiceStatus.read(layout.slice(name)) }

  /// Nil where they are not noted.
  public func refusedCalls(_ name: SliceName) -> RefusedCalls? {
    RefusedCalls.read(layout.slice(name))
  }

  public func linkStatistics(_ record: SliceRecord) -> LinkStatistics? {
    // A slice without a link has no figures.
    guard
      var figures = try? environment.network.statistics(SliceLink.name(record.number))
    else { return nil }
    if let drops = drops(record) { figures.account(for: drops) }
    return figures
  }

  /// What the classifier has dropped; nil for a slice without a link.
  public func drops(_ record: SliceRecord) -> DropStatistics? {
    try? environment.classifier?.drops(SliceLink.name(record.number))
  }

  /// Who sent what to whom; nil where the kernel cannot count it.
  public var flows: FlowAudit? { environment.flows }

  /// What a slice has on disk and may have; nil where nothing counts it. A microsecond or two.
  public func storageUse(_ record: SliceRecord) -> ProjectQuotas.Account? {
    storage.account(environment.project(record.number))
  }

  public func addresses(_ record: SliceRecord) -> SliceAddresses? {
    switch record.spec.settings.networkMode {
    case .routed: environment.link(record.number).addresses
    case .shared: environment.nodeAddress.known?.addresses
    case .none: nil
    }
  }

  // MARK: - Life cycle

  /// Builds a slice and, if asked, starts it. On failure nothing of it is left.
  ///
  /// - Parameter bounds: what the caller may have; nil for who is not bound.
  public func create(
    _ name: SliceName, spec asked: SliceSpec, caller: Caller, within bounds: OwnerBounds? = nil,
    start: Bool
  ) throws(SliceError) -> SliceRecord {
    try asked.validate()
    var spec = asked
    spec.settings = try policy.completed(asked.settings, within: bounds)
    try requireProcessors(spec.settings)
    try environment.requireFilters(spec.settings)
    let unenforced = try enforcement(of: spec)
    if spec.settings.networkMode == .shared {
      // Before any is tried: that binds it for a moment.
      if let ports = spec.settings.ports {
        try policy.network.sharedPorts.admit(ports, within: bounds)
      }
      try environment.requireShared(spec.settings.ports)
    }
    let image = try images.resolve(spec.image).identity
    try bounds?.admit(
      image: spec.image, names: images.stored(spec.image)?.names ?? [spec.image])
    try requireFree(name)
    let linked = start && spec.settings.networkMode == .routed
    let slice = try reserve(name, linked: linked, within: bounds) { number in
      SliceRecord(
        name: name, owner: caller.user, ownerName: caller.name, createdAt: Clock.now, spec: spec,
        image: image, number: number, unenforced: unenforced)
    }
    return try environment.pool.yielding { () throws(SliceError) in
      try finishCreation(of: slice, by: caller, start: start)
    }
  }

  private func finishCreation(
    of slice: ManagedSlice, by caller: Caller, start: Bool
  ) throws(SliceError) -> SliceRecord {
    try slice.gate.run("create", on: slice.name) { () throws(SliceError) in
      do throws(SliceError) {
        try protectFloors(with: slice.settings)
        try environment.build(slice.record)
        report(slice, "created", by: caller.name)
        // One of both puts it on record; until then a crash leaves an orphan, which the next start
        // removes. Writing twice would cost as much as the rest of the creation.
        if start { try launch(slice, by: caller.name) } else { try save(slice) }
        if slice.lease != nil { leases.look() }
        return slice.record
      } catch {
        let leftovers = discard(slice)
        notify(
          NodeEvent(
            slice: slice.name, kind: "create-failed", by: caller.name,
            details: ["number": "\(slice.number)", "reason": error.message]))
        throw error.leaving(leftovers)
      }
    }
  }

  public func start(_ slice: ManagedSlice, by user: String) throws(SliceError) -> SliceRecord {
    try perform("start", slice) { () throws(SliceError) in
      guard slice.record.run == nil else {
        throw SliceError(.failed, "it is running already")
      }
      try launch(slice, by: user)
    }
  }

  /// SIGTERM to the service; after `grace` SIGKILL to all. Fine if it does not run.
  public func stop(
    _ slice: ManagedSlice, graceMilliseconds grace: UInt32, by user: String
  ) throws(SliceError) -> SliceRecord {
    slice.shortenGrace(milliseconds: UInt64(grace))
    return try perform("stop", slice) { () throws(SliceError) in
      try halt(slice, graceMilliseconds: grace, by: user)
    }
  }

  public func restart(
    _ slice: ManagedSlice, graceMilliseconds grace: UInt32, by user: String
  ) throws(SliceError) -> SliceRecord {
    slice.shortenGrace(milliseconds: UInt64(grace))
    return try perform("restart", slice) { () throws(SliceError) in
      try requireLease(slice)
      try halt(slice, graceMilliseconds: grace, by: user)
      try launch(slice, by: user)
    }
  }

  public func signal(_ slice: ManagedSlice, _ number: Int32) throws(SliceError) {
    // Without the gate: a slice-init that does not answer, frozen by its own slice for instance,
    // must not keep others from stopping it.
    _ = try slice.requireRunning()
    try reporting("send signal \(number)") { () throws(SystemError) in
      try InitCommand.signal(number).send(to: slice.layout)
    }
  }

  public func setPaused(_ slice: ManagedSlice, _ paused: Bool, by user: String)
    throws(SliceError) -> SliceRecord
  {
    let verb = paused ? "pause" : "resume"
    return try perform(verb, slice) { () throws(SliceError) in
      try slice.requireStarted()
      try reporting("cgroup.freeze") { () throws(SystemError) in
        try cgroup.slice(slice.name).limits.setFrozen(paused)
      }
      slice.update { $0.run?.paused = paused }
      try save(slice)
      report(slice, paused ? "paused" : "resumed", by: user)
    }
  }

  /// Removes the slice and all that it used.
  public func destroy(_ slice: ManagedSlice, force: Bool, by user: String) throws(SliceError) {
    if force { slice.shortenGrace(milliseconds: 0) }
    try slice.gate.run("destroy", on: slice.name) { () throws(SliceError) in
      try requireExistence(slice)
      if slice.record.run != nil {
        guard force else {
          throw SliceError(
            .failed, "it is running", hint: "'slicectl stop \(slice.name)' first, or give --force")
        }
        try eraseAndKill(slice)
      }
      try remove(slice, by: user)
    }
  }

  /// The record first: what a crash leaves of the rest is then an orphan, killed and removed by the next
  /// start.
  private func eraseAndKill(_ slice: ManagedSlice) throws(SliceError) {
    slice.update { $0.wanted = .stopped }
    try slice.erase { () throws(SliceError) in try store.remove(slice.name) }
    do throws(SliceError) {
      try kill(slice)
    } catch {
      // It goes on living, so it must be known.
      slice.unerase()
      try save(slice)
      throw error
    }
  }

  /// Removes a slice that does not run. The gate is held.
  func remove(_ slice: ManagedSlice, by user: String) throws(SliceError) {
    try slice.erase { () throws(SliceError) in try store.remove(slice.name) }
    let leftovers = discard(slice)
    guard leftovers.isEmpty else {
      throw SliceError(.failed, "not everything could be removed").leaving(leftovers)
    }
    report(slice, "destroyed", by: user)
  }

  /// Kills every slice at once, then takes note. Returns how many ran.
  public func stopAll(by user: String) throws(SliceError) -> Int {
    let running = table.withLock { $0.values.filter { $0.record.run != nil } }
    for slice in running { slice.update { $0.wanted = .stopped } }
    for slice in running {
      // Either is enough, see `halt`; an error means that it has just ended.
      try? cgroup.slice(slice.name).limits.kill()
      try? slice.process?.signal(SIGKILL)
    }
    let left = running.filter { !$0.awaitEnd(milliseconds: 5000) }
    guard left.isEmpty else {
      throw SliceError(
        .timedOut,
        "these do not end within 5 s of SIGKILL: \(left.map(\.name.text).joined(separator: ", "))")
    }
    notify(
      NodeEvent(
        slice: nil, owner: nil, kind: "stopped-all", by: user,
        details: ["count": "\(running.count)"]))
    return running.count
  }

  /// How the slice's service ended, once it has; nil when `giveUp` says so first (asked every
  /// 500 ms at the latest).
  public func awaitEnd(
    _ slice: ManagedSlice, giveUp: () -> Bool
  ) -> SliceRecord.End? {
    while true {
      if slice.awaitEnd(milliseconds: 500) { return slice.record.ended }
      if giveUp() { return nil }
    }
  }

  /// Runs a command in a slice that lives.
  public func execute(
    _ slice: ManagedSlice, _ request: ExecutionRequest
  ) throws(SliceError) -> Execution {
    let run: PidFD
    do throws(SliceError) {
      run = try slice.requireRunning()
    } catch {
      throw SliceError(.commandNotRun, error.message, hint: error.hint)
    }
    return try environment.execute(request, in: slice.record, process: run)
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

  /// The keys that this host cannot hold; refused unless the owner or the policy allows that.
  func enforcement(of spec: SliceSpec) throws(SliceError) -> [String] {
    var gaps = try reporting("read the controllers") { () throws(SystemError) in
      try cgroup.slices.unenforceable(spec.settings, device: device)
        + storage.gaps(spec.settings)
    }
    gaps += environment.uplinks.gaps(spec.settings)
    if spec.settings.networkMode == .routed, let missing = environment.classifierGap {
      gaps.append(EnforcementGap(.netMode, missing: missing))
    }
    try environment.requireRawSockets(spec.settings)
    if spec.settings[.netPublish] != nil, let missing = environment.publisher.gap {
      gaps.append(EnforcementGap(.netPublish, missing: missing))
    }
    guard let first = gaps.first, !spec.allowUnenforced, !policy.allowUnenforced else {
      return gaps.map(\.key.rawValue)
    }
    let all = gaps.map { "\($0.key.rawValue) (\($0.missing))" }.joined(separator: ", ")
    throw SliceError(
      .unenforceable, "this host cannot enforce \(all)",
      hint: first.key.enforcer == .nothing
        ? "leave it out, or give --allow-unenforced"
        : first.remedy.map { "\($0); --allow-unenforced goes without" }
          ?? "'slicectl doctor' names the remedy; --allow-unenforced goes without")
  }

  private static func exists(_ name: SliceName) -> SliceError {
    SliceError(.failed, "a slice '\(name)' exists already", hint: "choose another name")
  }

  /// Spares what is done before a name is entered where that would be refused.
  private func requireFree(_ name: SliceName) throws(SliceError) {
    guard table.withLock({ $0[name] == nil }) else { throw Self.exists(name) }
  }

  /// Enters the name into the table, with a free number, if the node and the owner's bounds have room
  /// for it: judged and entered under one lock, so that nothing is given twice.
  ///
  /// - Parameter linked: it is started at once and has a link, which may be there already.
  private func reserve(
    _ name: SliceName, linked: Bool, within bounds: OwnerBounds?, _ make: (Int) -> SliceRecord
  ) throws(SliceError) -> ManagedSlice {
    let place = environment.claimNumber(linked: linked)
    do throws(SliceError) {
      return try table.withLock { (table) throws(SliceError) in
        guard table[name] == nil else { throw Self.exists(name) }
        guard let (number, namespaces) = place else {
          throw SliceError(
            .failed,
            "all \(environment.numbers.capacity) addresses and id ranges of this node are in use",
            hint: "enlarge pool4 or ids in /etc/slices/node.toml, or destroy a slice")
        }
        var record = make(number)
        record.spec.settings = try withPorts(
          record.spec.settings, for: nil, owner: record.owner, in: table, within: bounds)
        let slice = ManagedSlice(record, layout: layout.slice(name), namespaces: namespaces)
        if Admission.isNeeded(for: slice.settings, of: capacity, within: bounds) {
          try admission(beside: slice, in: table).admit(
            slice.settings, owner: slice.record.owner, within: bounds)
        }
        try claimPorts(slice.settings, for: slice, within: bounds, in: table)
        table[name] = slice
        return slice
      }
    } catch {
      if let (number, namespaces) = place { environment.release(number, namespaces) }
      throw error
    }
  }

  /// Starts a slice that does not run. The gate is held.
  func launch(_ slice: ManagedSlice, by user: String) throws(SliceError) {
    try requireLease(slice)
    do {
      let defaults = images.defaults(of: slice.record.image)
      let (process, run) = try environment.start(
        slice.record, defaults: defaults, ready: slice.takeNamespaces())
      slice.began(process, run)
      // First, because whoever ends a slice waits for the watcher.
      try watcher.watch(process, name: slice.name)
      try memory.add(slice.name, cgroup.slice(slice.name).limits)
      try save(slice)
      report(slice, "started", by: user, ["pid": "\(process.pid)"])
    } catch {
      slice.update { $0.wanted = .stopped }
      if slice.record.run == nil {
        slice.update { $0.end(nil, stopped: false, reason: error.message) }
      } else {
        // It runs, and could not be put on record: the next supervisor would not know it.
        try halt(slice, graceMilliseconds: 0, by: user)
      }
      throw error
    }
  }

  /// Stops a slice, if it runs, and waits until it is gone. The gate is held.
  func halt(
    _ slice: ManagedSlice, graceMilliseconds grace: UInt32, by user: String
  ) throws(SliceError) {
    slice.update {
      $0.wanted = .stopped
      $0.run?.paused = false
    }
    guard slice.record.run != nil else { return try save(slice) }
    // A full disk must not keep a slice from being stopped. Should this fail, a supervisor that
    // comes before the end is noted starts with the earlier wish.
    try? save(slice)
    let group = cgroup.slice(slice.name).limits
    if grace > 0 {
      slice.beginGrace(milliseconds: UInt64(grace) + 1000)
      // A frozen slice could not act on the signal. Either may fail because it just ended.
      try? group.setFrozen(false)
      try? InitCommand.stop(graceMilliseconds: grace).send(to: slice.layout)
      // slice-init keeps the time; a second more before it is not trusted to.
      if slice.awaitEndOfGrace() { return }
    }
    try kill(slice)
  }

  /// Ends a slice that runs, and waits until it is gone. The gate is held.
  private func kill(_ slice: ManagedSlice) throws(SliceError) {
    let group = cgroup.slice(slice.name).limits
    // Either is enough: the cgroup for whatever lives in it, the first process because its PID
    // namespace ends with it. ENOENT, ESRCH: gone already.
    try? group.kill()
    try? slice.process?.signal(SIGKILL)
    guard slice.awaitEnd(milliseconds: 10_000) else {
      throw SliceError(
        .timedOut, "its processes do not end within 10 s of SIGKILL",
        hint: "one may hang in the kernel: see \(group.path)/cgroup.procs")
    }
  }

  /// Takes note that a slice has ended: called by the watcher, once for each run.
  func finish(_ name: SliceName) {
    guard let slice = table.withLock({ $0[name] }), slice.record.run != nil else { return }
    let status = ServiceStatus.read(slice.layout)
    examineMemory(slice)
    memory.remove(name)
    let leftovers = environment.cleanUp(slice.record)
    // Without a last word slice-init itself was killed.
    let exit = (status?.state == .exited ? status?.exit : nil) ?? .signaled(SIGKILL)
    var details = ["status": "\(exit)"]
    let startedAt = slice.record.run?.startedAt
    let exitedAt = status.flatMap { $0.exitedAt == 0 ? nil : $0.exitedAt }
    slice.conclude(exit, exitedAt: exitedAt) { record in
      if record.ended?.outOfMemory == true { details["reason"] = record.reason }
      do throws(SliceError) {
        if !slice.isErased { try store.save(record) }
      } catch {
        details["record"] = error.message
      }
      if !leftovers.isEmpty { details["left"] = leftovers.joined(separator: "; ") }
      report(slice, "ended", by: nil, details)
    }
    if status?.state != .exited { reviveIfWanted(slice, slice.record, startedAt: startedAt) }
  }

  /// Removes everything of a slice that does not run, and its name. Returns what stayed.
  private func discard(_ slice: ManagedSlice) -> [String] {
    // Never used, they must not serve another slice: their link is about to be retired.
    _ = slice.takeNamespaces()
    let leftovers = environment.cleanUp(slice.record) + environment.remove(slice.record)
    guard leftovers.isEmpty else { return leftovers }
    table.withLock {
      $0[slice.name] = nil
      ports.release(slice.record.spec.settings.publishedPorts, of: slice.name)
    }
    environment.release(slice.number, nil)
    do throws(SliceError) {
      try protectFloors(with: slice.settings)
    } catch {
      return [error.message]
    }
    return []
  }
}
