import Descriptor
import SliceKernel
import SliceModel

/// Creating slices: what is asked is judged, given a number, and built.
extension Node {
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
}
