import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Taking over what an earlier supervisor left.
extension Node {
  /// Adopts the slices that live, notes the end of those that do not, removes what belongs to none,
  /// and after a reboot starts again what was wanted to run.
  func recover(_ records: [SliceRecord], orphans: [String]) throws(SliceError) {
    let boot = try reporting("identify the boot") { () throws(SystemError) in
      try BootIdentity.current()
    }
    let lostPorts = try recoverPorts(of: records.filter { $0.run?.bootID == boot })
    var restart: [ManagedSlice] = []
    for record in records {
      let name = try SliceName(record.name)
      let slice = ManagedSlice(record, layout: layout.slice(name))
      table.withLock { $0[name] = slice }
      environment.numbers.take(slice.number)
      // Records of one node never share a port; should two say so, it stays with the first.
      try? ports.claim(record.spec.settings.publishedPorts, for: name)
      guard let run = record.run else { continue }
      if run.bootID == boot, let process = Self.living(run) {
        slice.adopt(process)
        try memory.add(name, cgroup.slice(name).limits)
        try cgroup.slice(name).holdDevices()
        // An error stops the start: a slice that nothing holds to its addresses is not to be missed.
        try environment.adoptLink(record, process: process)
        if environment.classifier != nil {
          slice.update { $0.unenforced.removeAll { $0 == Key.netMode.rawValue } }
        }
        if run.hasRawSockets == true { thaw(name, run) }
        do throws(SliceError) {
          try environment.adoptRawSockets(record, process: process)
        } catch {
          // Its packets are judged all the same; that it opens no more raw sockets harms nobody else.
          report(slice, "raw-broker-lost", by: nil, ["reason": error.message])
        }
        try watcher.watch(process, name: name)
        report(slice, "adopted", by: nil, ["pid": "\(process.pid)"])
        examineMemory(slice)
      } else if run.bootID == boot {
        finish(name)
      } else {
        slice.conclude(.signaled(SIGKILL), reason: "the host was restarted")
        try store.save(slice.record)
        if record.wanted == .running, record.lease?.isOver(at: Clock.now) != true {
          restart.append(slice)
        }
      }
    }
    try environment.installTranslation()
    for (name, details) in lostPorts {
      let slice = try slice(SliceName(name))
      if slice.record.run != nil { report(slice, "port-lost", by: nil, details) }
    }
    try protectFloors()
    try recoverStorage()
    let all = self.records()
    let living = all.filter { $0.run != nil }
    for what in environment.removeOrphans(
      directories: orphans, living: Set(living.map(\.name)),
      linked: Set(living.map(\.number)), known: Set(all.map(\.number)))
    {
      notify(NodeEvent(slice: nil, owner: nil, kind: "orphan", by: nil, details: ["what": what]))
    }
    try environment.guardBinds()
    try recoverOverlays(known: all)
    for slice in restart {
      do {
        try launch(slice, by: "the node's start")
      } catch {
        report(slice, "start-failed", by: nil, ["reason": error.message])
      }
    }
  }

  /// A supervisor that ended while grants were withdrawn has left the slice's processes standing still.
  private func thaw(_ name: SliceName, _ run: SliceRecord.Run) {
    let group = cgroup.slice(name)
    for each in group.occupied { try? each.setFrozen(false) }
    try? group.limits.setFrozen(run.paused)
  }

  /// The process of a run, if it is that very one and lives.
  private static func living(_ run: SliceRecord.Run) -> PidFD? {
    // Any error means that it is gone: the number is free, or means another process.
    guard let process = try? PidFD(pid: run.pid),
      (try? BootIdentity.startTicks(of: run.pid)) == run.startTicks, !process.hasEnded()
    else { return nil }
    return process
  }
}
