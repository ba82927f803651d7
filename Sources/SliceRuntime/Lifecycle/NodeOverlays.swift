import SliceKernel
import SliceModel

/// An overlay as it is, for reports.
public struct OverlayView: Sendable {
  public var record: OverlayRecord
  /// Where it is encrypted; nil where that can't be told just now.
  public var publicKey: WireGuardKey?
  public var members: [Member]
  /// Nil: it has none, because it has no peers.
  public var carrier: Traffic?
  /// Why it does not work as it should.
  public var problem: String?

  public struct Member: Sendable {
    public var slice: String
    public var address: String
    /// Nil: the slice does not run.
    public var traffic: Traffic?
  }

  public struct Traffic: Sendable {
    public var statistics: LinkStatistics
    /// Packets by reason.
    public var drops: [(reason: String, packets: UInt64)]
  }
}

/// Overlays: who is in them, and what becomes of that.
extension Node {
  /// Those whose record passes `isVisible`: what is asked of the kernel costs time.
  public func overlays(_ isVisible: (OverlayRecord) -> Bool = { _ in true }) -> [OverlayView] {
    environment.overlays.all().filter { isVisible($0.record) }.map(view)
  }

  public func overlayRecord(_ name: OverlayName) throws(SliceError) -> OverlayRecord {
    try environment.overlays.overlay(name).record
  }

  public func overlay(_ name: OverlayName) throws(SliceError) -> OverlayView {
    view(try environment.overlays.overlay(name))
  }

  private func view(_ held: OverlayKeeper.Held) -> OverlayView {
    // Figures of what goes just now are none.
    func traffic(_ number: Int?) -> OverlayView.Traffic? {
      (try? held.network?.figures(of: number)).flatMap { $0 }.map {
        OverlayView.Traffic(statistics: $0.traffic, drops: $0.drops)
      }
    }
    return OverlayView(
      record: held.record,
      publicKey: held.record.privateKey == nil ? nil : try? held.network?.publicKey(),
      members: held.record.members.sorted { $0.key < $1.key }.map { slice, address in
        let number = (try? SliceName(slice)).flatMap { try? self.slice($0).number }
        return OverlayView.Member(
          slice: slice, address: address, traffic: number.flatMap { traffic($0) })
      },
      carrier: traffic(nil), problem: held.problem)
  }

  /// - Parameter bounds: nil for who is not bound.
  public func createOverlay(
    _ terms: OverlayTerms, caller: Caller, within bounds: OwnerBounds?
  ) throws(SliceError) -> OverlayView {
    let held = try environment.overlays.create(terms, owner: caller, bound: bounds?.overlays)
    tell("overlay-created", terms.name, by: caller.name, ["subnet": "\(terms.subnet)"])
    return view(held)
  }

  public func deleteOverlay(_ name: OverlayName, by user: String) throws(SliceError) {
    try environment.overlays.delete(name)
    tell("overlay-deleted", name, by: user)
  }

  public func join(
    _ name: OverlayName, _ slice: ManagedSlice, address: IPv4Address?, by user: String
  ) throws(SliceError) -> IPv4Address {
    var given: IPv4Address?
    _ = try perform("join", slice) { () throws(SliceError) in
      let own = try environment.overlays.join(
        name, slice.record, wanted: address, process: slice.process)
      report(
        slice, "joined", by: user, ["overlay": name.text, "address": "\(own)"])
      given = own
    }
    return given!
  }

  public func leave(
    _ name: OverlayName, _ slice: ManagedSlice, by user: String
  ) throws(SliceError) {
    _ = try perform("leave", slice) { () throws(SliceError) in
      try environment.overlays.leave(name, slice.record)
      report(slice, "left", by: user, ["overlay": name.text])
    }
  }

  public func add(
    _ peer: OverlayPeer, to name: OverlayName, by user: String
  ) throws(SliceError) -> OverlayView {
    let held = try environment.overlays.add(peer, to: name)
    tell("peer-added", name, by: user, ["peer": "\(peer.host)", "part": "\(peer.part)"])
    return view(held)
  }

  public func removePeer(
    _ address: PeerAddress, from name: OverlayName, by user: String
  ) throws(SliceError) -> OverlayView {
    let held = try environment.overlays.removePeer(address, from: name)
    tell("peer-removed", name, by: user, ["peer": "\(address)"])
    return view(held)
  }

  /// Addresses of a slice, by overlay.
  public func overlayAddresses(_ slice: String) -> [(overlay: String, address: String)] {
    environment.overlays.addresses(of: slice)
  }

  private func tell(
    _ kind: String, _ overlay: OverlayName, by user: String, _ details: [String: String] = [:]
  ) {
    notify(
      NodeEvent(
        slice: nil, owner: nil, kind: kind, by: user,
        details: details.merging(["overlay": overlay.text]) { own, _ in own }))
  }

  /// Takes over the overlays of an earlier supervisor. Slices have been.
  func recoverOverlays(known records: [SliceRecord]) throws(SliceError) {
    var living: [String: (record: SliceRecord, process: PidFD)] = [:]
    for slice in table.withLock({ Array($0.values) }) {
      if let process = slice.process { living[slice.name.text] = (slice.record, process) }
    }
    let problems = try environment.overlays.recover(living, known: Set(records.map(\.name)))
    for problem in problems {
      notify(
        NodeEvent(
          slice: nil, owner: nil, kind: "overlay-failed", by: nil, details: ["reason": problem]))
    }
  }
}
