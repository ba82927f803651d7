import Descriptor
import SliceKernel
import SliceModel

/// Raw sockets of slices that were granted them.
extension SliceEnvironment {
  /// What all packet rings of a slice may take together, in bytes. The kernel charges them to no cgroup,
  /// so it is a part of the slice's memory, and bounded where that is not.
  static func ringBytes(_ settings: Settings) -> UInt64 {
    let most: UInt64 = 64 << 20
    return min(most, (settings.bytes(.memoryMax) ?? .max) / 4)
  }

  /// Refuses what this host cannot hold. No policy makes up for that: without the classifier a grant would
  /// let more out than it says.
  func requireRawSockets(_ settings: Settings) throws(SliceError) {
    guard let grants = try settings.rawGrants() else { return }
    if let classifierGap {
      throw SliceError(
        .unenforceable, "this host cannot enforce raw.allow (\(classifierGap))",
        hint: "'slicectl doctor' names the remedy")
    }
    guard !grants.hasXDP else {
      throw SliceError(
        .unenforceable, "this version does not offer xdp of raw.allow", hint: "leave it out")
    }
  }

  /// Before the first process of a slice with grants is started: has its packets judged. Returns who takes
  /// the listener of its filter; nil: the slice has no grants, and no such filter.
  func prepareRawSockets(
    _ record: SliceRecord, _ namespaces: SliceNamespaces, _ descriptors: inout ServiceDescriptors,
    _ undo: inout Undo
  ) throws(SliceError) -> LaunchPlan.Listening? {
    guard let grants = try record.spec.settings.rawGrants() else { return nil }
    // It may have been created under another kernel.
    try requireRawSockets(record.spec.settings)
    let name = try SliceName(record.name)
    let state = try raw.judge(namespaces.network)
    descriptors.rawState = state
    // They go with the namespace.
    try namespaces.network.make(grants.tunnels, owner: idRange(record.number).first)
    undo.add("raw sockets") { raw.end(name) }
    let (place, group) = (layout.slice(name), cgroup.slice(name))
    let bytes = Self.ringBytes(record.spec.settings)
    return { (listener, pid) throws(SliceError) in
      let process = try reporting("find slice-init") { () throws(SystemError) in
        try PidFD(pid: pid)
      }
      try raw.begin(
        name, process: process, listener: listener, state: state, layout: place, cgroup: group,
        grants: grants, ringBytes: bytes)
    }
  }

  /// Who takes the listener of a command that enters; nil: the slice was started without raw sockets.
  func rawSocketsOfCommand(_ record: SliceRecord) throws(SliceError) -> LaunchPlan.Listening? {
    guard record.run?.hasRawSockets == true else { return nil }
    let name = try SliceName(record.name)
    guard let raw = raw[name] else {
      throw SliceError(.failed, "the broker of \(name) is not known", hint: "restart the slice")
    }
    return { (listener, _) throws(SliceError) in try raw.listen(listener) }
  }

  /// Takes over the raw sockets of a slice that an earlier supervisor started.
  func adoptRawSockets(_ record: SliceRecord, process: PidFD) throws(SliceError) {
    guard record.run?.hasRawSockets == true else { return }
    let name = try SliceName(record.name)
    let grants = try record.spec.settings.rawGrants() ?? RawGrants()
    try reporting("take over the raw sockets of \(name)") { () throws(SystemError) in
      try raw.adopt(
        name, process: process, layout: layout.slice(name), cgroup: cgroup.slice(name),
        grants: grants, ringBytes: Self.ringBytes(record.spec.settings))
    }
  }
}
