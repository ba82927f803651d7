import SliceModel

/// What happens to slices as their leases run out.
extension Node {
  /// What a service gets to end by itself at the end of its lease.
  private static let grace: UInt32 = 10_000

  /// Who did it, in events.
  private static let keeper = "lease"

  func startKeepingLeases() throws(SliceError) {
    try leases.start(
      LeaseKeeper.Work(
        leases: { [weak self] in self?.currentLeases() ?? [] },
        keep: { [weak self] name throws(SliceError) in try self?.keepLease(name) },
        failed: { [weak self] name, error in
          guard let self, let slice = try? slice(name) else { return }  // just destroyed
          report(slice, "lease-failed", by: nil, ["reason": error.message])
        }))
  }

  private func currentLeases() -> [(name: SliceName, lease: Lease)] {
    let slices = table.withLock { $0.values.map { $0 } }
    return slices.compactMap { slice in slice.lease.map { (slice.name, $0) } }
  }

  /// Takes the step that is due: judged again under the gate, since the lease may have been renewed.
  private func keepLease(_ name: SliceName) throws(SliceError) {
    guard let slice = table.withLock({ $0[name] }) else { return }
    try slice.gate.run("the end of its lease", on: name) { () throws(SliceError) in
      guard table.withLock({ $0[name] === slice }), let lease = slice.lease,
        let step = lease.due(at: Clock.now, policy.lease)
      else { return }
      let details = ["endsAt": Clock.text(lease.endsAt)]
      switch step {
      case .warn:
        try change(slice) { $0?.warned = true }
        report(slice, "lease-ending", by: nil, details)
      case .end:
        try halt(slice, graceMilliseconds: Self.grace, by: Self.keeper)
        try change(slice) { $0?.endedAt = Clock.now }
        report(slice, "lease-ended", by: nil, details)
      case .remove:
        try halt(slice, graceMilliseconds: 0, by: Self.keeper)
        try remove(slice, by: Self.keeper)
      }
    }
  }

  /// Changes the lease, in memory and on record, or not at all. The gate is held.
  private func change(
    _ slice: ManagedSlice, _ body: (inout Lease?) -> Void
  ) throws(SliceError) {
    let before = slice.lease
    slice.update { body(&$0.lease) }
    do throws(SliceError) {
      try save(slice)
    } catch {
      slice.update { $0.lease = before }
      throw error
    }
  }

  /// Refuses a start when the lease is over.
  func requireLease(_ slice: ManagedSlice) throws(SliceError) {
    guard let lease = slice.lease, lease.isOver(at: Clock.now) else { return }
    throw SliceError(
      .refused, "its lease ended at \(Clock.text(lease.endsAt))",
      hint: "'slicectl renew \(slice.name)' renews it")
  }

  /// Has the lease of a slice end `length` from now; nil: as long as its lease is.
  ///
  /// - Parameter bounds: what the slice's owner may have; nil for who is not bound.
  public func renew(
    _ slice: ManagedSlice, length: TimeSpan?, by user: String, within bounds: OwnerBounds?
  ) throws(SliceError) -> SliceRecord {
    try perform("renew", slice) { () throws(SliceError) in
      let before = slice.record
      guard before.lease != nil, let usual = before.spec.settings.lease else {
        throw SliceError(
          .failed, "it has no lease", hint: "'slicectl set \(slice.name) lease=30d' gives it one")
      }
      if let length { try bounds?.admit(lease: length) }
      let lease = Lease(length ?? min(usual, bounds?.longestLease ?? usual), from: Clock.now)
      try change(slice) { $0 = lease }
      report(slice, "lease-renewed", by: user, ["endsAt": Clock.text(lease.endsAt)])
      leases.look()
    }
  }
}
