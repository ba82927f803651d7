import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Raw sockets of slices that run: grants that change, and what their brokers tell.
extension Node {
  /// Changes what the raw sockets of a slice that runs may do. Returns what whoever asked should know.
  func changeRawSockets(
    _ new: Settings, insteadOf old: Settings, of slice: ManagedSlice
  ) throws(SliceError) -> [String] {
    let (wanted, present) = (try new.rawGrants(), try old.rawGrants())
    let bytes = SliceEnvironment.ringBytes(new)
    guard wanted != present || bytes != SliceEnvironment.ringBytes(old) else { return [] }
    guard slice.record.run?.hasRawSockets == true else {
      return wanted == nil || wanted == present
        ? [] : ["raw.allow counts from the next start: the slice was started without"]
    }
    guard let raw = environment.raw[slice.name] else {
      throw SliceError(
        .failed, "the broker of \(slice.name) is not known: its raw sockets stay as they are",
        hint: "restart the slice")
    }
    let link = SliceLink.name(slice.number)
    let (grants, before) = (wanted ?? RawGrants(), present ?? RawGrants())
    func hold(_ grants: RawGrants) throws(SliceError) {
      try environment.classifier?.grant(grants, isJudged: true, to: link)
      try environment.overlays.update(slice.record, to: grants)
    }
    let (outcome, tunnelNotes): (RawControl.Outcome, [String])
    do throws(SliceError) {
      try hold(grants)
      // First, because they can be put back.
      tunnelNotes = try changeTunnels(grants.tunnels, insteadOf: before.tunnels, of: slice)
      do throws(SliceError) {
        // The broker of a slice that is paused stands still with it.
        outcome =
          grants.takesFrom(before) || slice.record.run?.paused == true
          ? try withFrozenProcesses(of: slice) { () throws(SliceError) in
            try raw.change(to: grants, ringBytes: bytes)
          } : try raw.change(to: grants, ringBytes: bytes)
      } catch {
        if grants.takesFrom(before) {
          // What is taken away does not stay because the slice keeps its broker from starting or answering.
          outcome = RawControl.Outcome(closed: 0, isUnsettled: true)
        } else {
          // That the change has failed is the error to tell.
          _ = try? changeTunnels(before.tunnels, insteadOf: grants.tunnels, of: slice)
          throw error
        }
      }
    } catch {
      try hold(before)
      throw error
    }
    return try notes(on: outcome, slice) + tunnelNotes
  }

  private func changeTunnels(
    _ new: [RawGrants.Tunnel], insteadOf old: [RawGrants.Tunnel], of slice: ManagedSlice
  ) throws(SliceError) -> [String] {
    guard new != old, let process = slice.process else { return [] }
    guard Self.hasTunnelDevice(process) else {
      return ["tun of raw.allow counts from the next start: the slice was started without"]
    }
    let namespace = try NetworkNamespace(of: process)
    let owner = environment.idRange(slice.number).first
    do throws(SliceError) {
      try namespace.change(old, to: new, owner: owner)
    } catch {
      // Whichever is there now.
      try? namespace.change(new, to: [], owner: owner)
      try? namespace.change([], to: old, owner: owner)
      throw error
    }
    return []
  }

  /// Whether the slice's own /dev has what one attaches to TUN devices by.
  private static func hasTunnelDevice(_ process: PidFD) -> Bool {
    guard let root = try? RootedPath(root: "/proc/\(process.pid)/root") else { return false }
    return (try? root.open("dev/net/tun", kernel_path_only)) != nil
  }

  private func notes(
    on outcome: RawControl.Outcome, _ slice: ManagedSlice
  ) throws(SliceError) -> [String] {
    guard outcome.isUnsettled else {
      return outcome.closed == 0
        ? [] : ["raw sockets that were taken out of use: \(outcome.closed)"]
    }
    // Somewhere there is a socket that could go on receiving what it may not: it ends with who has it. Either is
    // enough, and may come too late for a slice that has just ended.
    try? cgroup.slice(slice.name).limits.kill()
    try? slice.process?.signal(SIGKILL)
    let reason = "a raw socket without a grant could not be found in any process"
    report(slice, "raw-withdrawn", by: nil, ["reason": reason])
    guard slice.awaitEnd(milliseconds: 10_000) else {
      throw SliceError(.timedOut, "its processes do not end within 10 s of SIGKILL: \(reason)")
    }
    return ["the slice's processes were ended: \(reason)"]
  }

  /// Nanoseconds to wait for all processes to stand still.
  private static let freezing: UInt64 = 2_000_000_000

  /// With the slice's processes frozen, but not its broker: none can hand a socket round while the broker
  /// looks for it. One that doesn't freeze in time, in the kernel's hands, does no more harm than that
  /// the broker may not find all.
  private func withFrozenProcesses<Result>(
    of slice: ManagedSlice, _ body: () throws(SliceError) -> Result
  ) throws(SliceError) -> Result {
    let group = cgroup.slice(slice.name)
    let isPaused = slice.record.run?.paused == true
    let frozen = group.occupied
    // Fails where the slice has ended meanwhile.
    defer { for each in frozen { try? each.setFrozen(false) } }
    try reporting("cgroup.freeze") { () throws(SystemError) in
      for each in frozen { try each.setFrozen(true) }
      if isPaused { try group.limits.setFrozen(false) }
    }
    defer { if isPaused { try? group.limits.setFrozen(true) } }
    let end = kernel_monotonic() + Self.freezing
    while !frozen.allSatisfy(\.isFrozen), kernel_monotonic() < end { usleep(1000) }
    return try body()
  }

  // MARK: - What brokers tell

  func startRawSockets() throws(SliceError) {
    try environment.raw.start { [weak self] name, finding in
      guard let self, let slice = try? slice(name) else { return }  // just destroyed
      switch finding {
      case .refused(let refusal, let count):
        report(
          slice, "raw-refused", by: nil,
          ["call": "\(refusal)", "pid": "\(refusal.pid)", "count": "\(count)"])
      // It throws where the slice doesn't end in time, which its watcher sees.
      case .unsettled(let outcome): _ = try? notes(on: outcome, slice)
      case .brokerLost(let reason):
        report(slice, "raw-broker-lost", by: nil, reason.map { ["reason": $0] } ?? [:])
      case .brokerStarted(let pid):
        report(slice, "raw-broker-started", by: nil, ["pid": "\(pid)"])
      }
    }
  }

  /// Calls for raw sockets that were refused to a slice since the supervisor's start, and the process of its
  /// broker; nil: it has none, because it was started without raw.allow.
  public func rawSockets(_ record: SliceRecord) -> (refused: UInt64, broker: Int32?)? {
    guard let name = try? SliceName(record.name), let raw = environment.raw[name] else {
      return nil
    }
    return (raw.refused, raw.brokerPID)
  }
}
