import Descriptor
import SliceKernel
import SliceModel

/// What holds slices, each and all together: settings that change while they run, floors, ceilings.
extension Node {
  /// Changes settings and restart policy, all or nothing. Says what had to be reclaimed first for a
  /// lower memory.max, and what else whoever asked should know.
  ///
  /// - Parameter bounds: what the slice's owner may have; nil for who is not bound.
  public func set(
    _ slice: ManagedSlice, changes: [String: String], by user: String,
    within bounds: OwnerBounds? = nil
  ) throws(SliceError) -> (SliceRecord, MemoryReclaim?, notes: [String]) {
    var reclaim: MemoryReclaim?
    var notes: [String] = []
    let record = try perform("set", slice) { () throws(SliceError) in
      var change = try SettingsChange(slice.record, changes, policy, within: bounds)
      if change.spec.settings.cpuSet != slice.record.spec.settings.cpuSet {
        try requireProcessors(change.spec.settings)
      }
      let restartChanges = change.spec.restart != slice.record.spec.restart
      if slice.record.run != nil, restartChanges { _ = try slice.requireRunning() }
      let unenforced = try enforcement(of: change.spec)
      let before = slice.record
      try environment.requireRoom(for: change.spec.settings, of: before)
      change.spec.settings = try claim(change.spec.settings, for: slice, within: bounds)
      defer {
        slice.claim(nil)
        releasePorts(of: slice, beyondRecordAfter: change.spec.settings)
        releasePorts(of: slice, beyondRecordAfter: before.spec.settings)
      }
      try requirePorts(change.spec.settings, insteadOf: before.spec.settings)
      (reclaim, notes) = try apply(change.spec, insteadOf: before.spec, to: slice)
      slice.update {
        $0.spec = change.spec
        $0.unenforced = unenforced
        if change.setsLease {
          $0.lease = change.spec.settings.lease.map { Lease($0, from: Clock.now) }
        }
      }
      do throws(SliceError) {
        try protectFloors()
        try save(slice)
      } catch {
        slice.update {
          $0.spec = before.spec
          $0.unenforced = before.unenforced
          $0.lease = before.lease
        }
        _ = try apply(before.spec, insteadOf: change.spec, to: slice)
        try protectFloors()
        throw error
      }
      report(slice, "changed", by: user, changes)
      leases.look()
    }
    return (record, reclaim, notes)
  }

  /// Changes what holds a slice, all or nothing: its quota, and while it runs the rest.
  private func apply(
    _ new: SliceSpec, insteadOf old: SliceSpec, to slice: ManagedSlice
  ) throws(SliceError) -> (MemoryReclaim?, notes: [String]) {
    let project = environment.project(slice.record.number)
    try storage.apply(new.settings, insteadOf: old.settings, project: project)
    guard slice.record.run != nil else { return (nil, []) }
    do throws(SliceError) {
      try environment.allow(new.settings, to: slice.record)
      try give(new.settings.ports, insteadOf: old.settings.ports, to: slice)
      let reclaim = try applyToRun(new, insteadOf: old, to: slice)
      do throws(SliceError) {
        // Last: what is taken from a socket can't be given back.
        return (
          reclaim, try changeRawSockets(new.settings, insteadOf: old.settings, of: slice)
        )
      } catch {
        _ = try applyToRun(old, insteadOf: new, to: slice)
        throw error
      }
    } catch {
      try give(old.settings.ports, insteadOf: new.settings.ports, to: slice)
      try environment.allow(old.settings, to: slice.record)
      try storage.apply(old.settings, insteadOf: new.settings, project: project)
      throw error
    }
  }

  private func applyToRun(
    _ new: SliceSpec, insteadOf old: SliceSpec, to slice: ManagedSlice
  ) throws(SliceError) -> MemoryReclaim? {
    let limits = cgroup.slice(slice.name).limits
    let reclaim = try makeRoom(for: new.settings, insteadOf: old.settings, in: limits)
    do throws(SliceError) {
      try limits.apply(new.settings, insteadOf: old.settings, device: device)
    } catch {
      if reclaim != nil { try limits.apply(.memoryHigh, of: old.settings) }
      throw error
    }
    if reclaim != nil { try limits.apply(.memoryHigh, of: new.settings) }
    do throws(SliceError) {
      try environment.changeBandwidth(slice.record, to: new.settings, insteadOf: old.settings)
    } catch {
      try limits.apply(old.settings, insteadOf: new.settings, device: device)
      throw error.within("change the bandwidth")
    }
    do throws(SliceError) {
      try environment.publisher.change(slice.record.number, to: new.settings.publishedPorts)
    } catch {
      try environment.changeBandwidth(slice.record, to: old.settings, insteadOf: new.settings)
      try limits.apply(old.settings, insteadOf: new.settings, device: device)
      throw error
    }
    guard new.restart != old.restart else { return reclaim }
    do throws(SystemError) {
      try InitCommand.restartPolicy(new.restart).send(to: slice.layout)
    } catch {
      try environment.publisher.change(slice.record.number, to: old.settings.publishedPorts)
      try environment.changeBandwidth(slice.record, to: old.settings, insteadOf: new.settings)
      try limits.apply(old.settings, insteadOf: new.settings, device: device)
      throw SliceError(error).within("change the restart policy")
    }
    return reclaim
  }

  private func makeRoom(
    for new: Settings, insteadOf old: Settings, in limits: Cgroup
  ) throws(SliceError) -> MemoryReclaim? {
    guard let ceiling = new.bytes(.memoryMax), ceiling < old.bytes(.memoryMax) ?? .max else {
      return nil
    }
    do throws(SliceError) {
      return try limits.makeRoom(downTo: ceiling)
    } catch {
      throw error.within("set memory.max=\(ByteSize(bytes: ceiling))")
    }
  }

  /// Has the cgroup above the slices' protect what their floors promise, of those that do not run
  /// too: they may start at any time.
  ///
  /// - Parameter settings: of a slice that comes or goes: without a floor it changes nothing; nil: of
  ///   any.
  func protectFloors(with settings: Settings? = nil) throws(SliceError) {
    if let settings, settings.bytes(.memoryMin) == nil, settings.bytes(.memoryLow) == nil { return }
    try floors.withLock { (_) throws(SliceError) in
      let settings = table.withLock { $0.values.map(\.settings) }
      func sum(_ key: Key) -> UInt64 {
        settings.reduce(0) { sum, each in
          let (total, overflow) = sum.addingReportingOverflow(each.bytes(key) ?? 0)
          return overflow ? .max : total
        }
      }
      try reporting("protect the floors of memory") { () throws(SystemError) in
        try cgroup.protect(minimum: sum(.memoryMin), low: sum(.memoryLow))
      }
    }
  }

  // MARK: - All slices together

  /// Has the kernel hold what all slices have together. A ceiling that the policy names and the kernel
  /// can't hold stops the start; one that follows from the host's size is left out.
  static func holdCeilings(
    of cgroup: NodeCgroup, _ capacity: NodeCapacity, _ policy: NodePolicy, processors: Int
  ) throws(SliceError) {
    let isWhole = capacity.millicores == UInt64(processors) * 1000
    let missing = try reporting("hold the ceilings of all slices") { () throws(SystemError) in
      try cgroup.bound(
        cpu: isWhole ? nil : CPUAmount(millicores: capacity.millicores),
        memoryBytes: capacity.memoryBytes, pids: capacity.pids)
    }
    let named = [
      ("cpu.max", policy.total.cpu != nil || policy.reserve.cpu != nil),
      ("memory.max", policy.total.memory != nil || policy.reserve.memory != nil),
      ("pids.max", policy.total.pids != nil),
    ]
    let gaps = named.filter { $0.1 && missing.contains($0.0) }.map(\.0)
    guard gaps.isEmpty || policy.allowUnenforced else {
      throw SliceError(
        .unenforceable,
        "[total] and [reserve] of the node's policy need \(gaps.joined(separator: ", ")), which this kernel's cgroup v2 does not have",
        hint: "'slicectl doctor' names the remedy; allow-unenforced = true goes without")
    }
  }
}
