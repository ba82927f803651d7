import Descriptor
import SliceKernel
import SliceModel

/// What the node notices about its slices by itself.
extension Node {
  func startWatching() throws(SliceError) {
    try watcher.start { [weak self] name in self?.finish(name) }
    try memory.start { [weak self] name in
      guard let self, let slice = try? slice(name) else { return }  // just destroyed
      examineMemory(slice)
    }
    try startRawSockets()
    try usage.start { [weak self] in self?.lookAround() }
    try environment.uplinks.start { [notify] details in
      notify(NodeEvent(slice: nil, owner: nil, kind: "uplink", by: nil, details: details))
    }
    try environment.flows?.start { [notify] kind, details in
      notify(NodeEvent(slice: nil, owner: nil, kind: kind, by: nil, details: details))
    }
  }

  /// Processors that the slice used of late, on average over some seconds; nil where that is not
  /// known yet.
  public func recentCores(_ name: SliceName) -> Double? { usage.recentCores(name) }

  /// The latest want of memory of a slice's run, looked up now.
  public func outOfMemory(_ slice: ManagedSlice) -> OutOfMemory? {
    examineMemory(slice)
    return slice.record.outOfMemory
  }

  // MARK: - Memory

  /// Notes and tells if processes of the slice were killed for want of memory since the last look.
  func examineMemory(_ slice: ManagedSlice) {
    guard let found = newKills(slice) else { return }
    slice.update { $0.outOfMemory = found.what }
    guard found.isToTell else { return }
    var details = [
      "limit": found.what.limit.rawValue, "kills": "\(found.what.kills)",
      "reason": found.what.description,
    ]
    do throws(SliceError) {
      try save(slice)
    } catch {
      // The slice is not touched by it; the end of the run writes the record again.
      details["record"] = error.message
    }
    report(slice, "out-of-memory", by: nil, details)
  }

  private func newKills(_ slice: ManagedSlice) -> (what: OutOfMemory, isToTell: Bool)? {
    let limits = cgroup.slice(slice.name).limits
    return slice.memory.withLock { seen in
      // Neither is there without a memory controller, or when the slice has ended.
      guard slice.record.run != nil, let all = try? MemoryEvents(of: limits),
        let own = try? MemoryEvents(of: limits, local: true)
      else { return nil }
      let now = Clock.now
      guard all.kills > seen.all.kills else {
        // What was too early to be told again.
        guard seen.isPending, let latest = slice.record.outOfMemory, seen.tell(now) else {
          return nil
        }
        return (latest, true)
      }
      let limit: OutOfMemory.Limit =
        own.outOfMemory > seen.own.outOfMemory
        ? .slice
        : all.outOfMemory(beside: own) > seen.all.outOfMemory(beside: seen.own)
          ? .inside : isNodeShort(now) ? .node : .host
      // Not before: the kernel counts that a limit was met some time before it has killed.
      seen.all = all
      seen.own = own
      let what = OutOfMemory(
        at: now, limit: limit, limitBytes: limitBytes(limit, slice),
        peakBytes: (try? limits.read("memory.peak")).flatMap { UInt64($0) }, kills: all.kills)
      return (what, seen.tell(now))
    }
  }

  private func limitBytes(_ limit: OutOfMemory.Limit, _ slice: ManagedSlice) -> UInt64? {
    switch limit {
    case .slice: slice.record.spec.settings.bytes(.memoryMax)
    case .node: (try? cgroup.slices.read("memory.max")).flatMap { UInt64($0) }
    case .inside, .host: nil
    }
  }

  /// Whether the ceiling of all slices was met just now.
  private func isNodeShort(_ now: UInt64) -> Bool {
    nodeMemory.withLock { seen in
      let count = (try? MemoryEvents(of: cgroup.slices, local: true))?.outOfMemory ?? 0
      if count > seen.count { seen = NodeMemory(count: count, at: now) }
      // Several slices may lose processes to one shortage.
      // The clock may have been set back.
      return seen.at.map { now - min($0, now) < 2_000_000_000 } ?? false
    }
  }

  // MARK: - Refused calls

  private func examineRefusals(_ slice: ManagedSlice) {
    // Nil where they are not noted, as for most slices.
    guard slice.settings[.seccompLog] != nil, let refused = refusedCalls(slice.name),
      let call = refusals.observe(slice.name, refused)
    else { return }
    report(slice, "raw-refused", by: nil, ["call": "\(call)", "pid": "\(call.pid)"])
  }

  // MARK: - All the rest

  private func lookAround() {
    let running = table.withLock { $0.values.filter { $0.record.run != nil } }
    let names = Set(running.map(\.name))
    usage.keep(names)
    refusals.keep(names)
    followNodeAddress(running)
    repairTranslation()
    for slice in running {
      examineMemory(slice)
      examineRefusals(slice)
      guard let sample = UsageSample(of: cgroup.slice(slice.name).limits) else { continue }
      let account = storage.account(environment.project(slice.record.number))
      for finding in usage.observe(slice.name, sample, storage: account) { tell(slice, finding) }
    }
  }

  /// Makes the tables of nftables again after somebody has flushed the host's ruleset.
  private func repairTranslation() {
    guard environment.publisher.isTableLost else { return }
    var details = ["table": "inet slices"]
    do throws(SliceError) {
      try environment.installTranslation()
      try environment.overlays.renewGuard()
    } catch {
      details["reason"] = error.message
    }
    notify(
      NodeEvent(slice: nil, owner: nil, kind: "translation-lost", by: nil, details: details))
  }

  private func tell(_ slice: ManagedSlice, _ finding: UsageWatch.Finding) {
    func setting(_ key: Key) -> [String: String] {
      ["limit": "\(key.rawValue)=\(slice.record.spec.settings[key]?.description ?? "max")"]
    }
    switch finding {
    case .throttled(let key): report(slice, "throttled", by: nil, setting(key))
    case .processesRefused: report(slice, "processes-refused", by: nil, setting(.pidsMax))
    case .storageFull(let key): report(slice, "over-quota", by: nil, setting(key))
    }
  }
}

/// How often the ceiling of all slices was met, and when for the last time.
struct NodeMemory: Sendable {
  var count: UInt64 = 0
  var at: UInt64?
}

/// What was seen of a slice's memory, so that what is new stands out.
struct SeenMemory: Sendable {
  var all = MemoryEvents()
  var own = MemoryEvents()
  private var toldAt: UInt64?
  /// Something is to be told, and was too early.
  private(set) var isPending = false

  /// Nanoseconds between two tellings: a slice that is killed and restarted in a loop must not
  /// write the record and fill the log with every kill.
  private static let pause: UInt64 = 10_000_000_000

  /// Whether to tell now.
  mutating func tell(_ now: UInt64) -> Bool {
    isPending = toldAt.map { now - min($0, now) < Self.pause } ?? false
    if !isPending { toldAt = now }
    return !isPending
  }
}
