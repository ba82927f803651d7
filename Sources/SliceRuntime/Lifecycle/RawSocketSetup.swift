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
    guard settings[.rawAllow] != nil else { return }
    if let classifierGap {
      throw SliceError(
        .unenforceable, "this host cannot enforce raw.allow (\(classifierGap))",
        hint: "'slicectl doctor' names the remedy")
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

  /// What the slice has as /run/slice; nil: it has no raw sockets, and nobody to ask.
  func requestDirectory(
    _ record: SliceRecord, _ place: SliceLayout
  ) throws(SliceError) -> SharedFD? {
    guard record.spec.settings[.rawAllow] != nil else { return nil }
    return try reporting("prepare /run/slice") { () throws(SystemError) in
      try Files.makeDirectory(place.requests, mode: 0o755)
      return try MountTree.clone(
        place.requests, attributes: [.readOnly, .noSetuid, .noDevices, .noExecute],
        label: "requests of the slice")
    }
  }

  /// Has the host's end of a slice's link let pass what its raw sockets were granted. Where its own end
  /// judges packets, what went round that is held to the grants too.
  func grantRawSockets(_ record: SliceRecord, on link: String, index: UInt32) throws(SliceError) {
    let grants = try record.spec.settings.rawGrants()
    // Of a slice that is being started there is no run yet.
    let isJudged = record.run.map { $0.hasRawSockets == true } ?? (grants != nil)
    try classifier?.grant(
      isJudged ? grants ?? RawGrants() : grants, isJudged: isJudged, to: link, index: index)
  }

  /// Puts this version's judge in the place of that of the supervisor that started the slice.
  func renewJudge(_ record: SliceRecord, process: PidFD) throws(SliceError) {
    guard record.run?.hasRawSockets == true else { return }
    try raw.renewJudge(of: process)
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
