import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Runs of slices, from a start to its end.
extension Node {
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
  func kill(_ slice: ManagedSlice) throws(SliceError) {
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
}
