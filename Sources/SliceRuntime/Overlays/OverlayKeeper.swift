import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// The overlays of a node: makes and removes them, and gives slices their links in them.
///
/// The record is what counts: it is written before anything is built, and taken away before anything is
/// removed. So what a crash leaves half done the next start finishes or removes.
final class OverlayKeeper: Sendable {
  struct Held {
    var record: OverlayRecord
    /// Nil while it could not be built; the next who needs it tries again.
    var network: OverlayNetwork?
    /// What of it could not be had, and why.
    var problem: String?
  }

  /// Over all owners of a node.
  private static let most = 256

  let layout: NodeLayout
  private let policy: NodePolicy
  let store: OverlayStore
  /// Not shared with whoever must not wait.
  let host: NetworkControl
  /// Held through each operation: these are rare, and take milliseconds.
  let overlays = Mutex<[OverlayName: Held]>([:])
  /// Which kinds of carriers the kernel is known to have.
  private let supported = Mutex<Set<Bool>>([])

  init(layout: NodeLayout, policy: NodePolicy) throws(SliceError) {
    self.layout = layout
    self.policy = policy
    store = OverlayStore(layout: layout)
    host = try NetworkControl()
  }

  func namespacePath(_ name: String) -> String { layout.overlayNamespaces + "/" + name }

  // MARK: - Looking

  func all() -> [Held] {
    overlays.withLock { $0.values.sorted { $0.record.name < $1.record.name } }
  }

  func overlay(_ name: OverlayName) throws(SliceError) -> Held {
    try overlays.withLock { (overlays) throws(SliceError) in try Self.find(name, in: overlays) }
  }

  private static func find(
    _ name: OverlayName, in overlays: [OverlayName: Held]
  ) throws(SliceError) -> Held {
    guard let held = overlays[name] else {
      throw SliceError(
        .failed, "there is no overlay '\(name)'", hint: "'slicectl overlay list' shows the overlays"
      )
    }
    return held
  }

  // MARK: - Overlays

  /// - Parameter bound: how many overlays the owner may have; nil: any number.
  func create(
    _ terms: OverlayTerms, owner: Caller, bound: Int?
  ) throws(SliceError) -> Held {
    try overlays.withLock { (overlays) throws(SliceError) in
      try admit(terms, owner: owner, bound: bound, beside: overlays)
      var held = Held(record: OverlayRecord(terms, owner: owner, createdAt: Clock.now))
      try store.save(held.record)
      do throws(SliceError) {
        let network = try build(held.record)
        held.network = network
        // For its public key.
        if terms.isEncrypted { try network.carry(host) }
      } catch {
        throw error.leaving(remains(of: terms.name.text))
      }
      overlays[terms.name] = held
      return held
    }
  }

  private func admit(
    _ terms: OverlayTerms, owner: Caller, bound: Int?, beside overlays: [OverlayName: Held]
  ) throws(SliceError) {
    guard overlays[terms.name] == nil else {
      throw SliceError(
        .failed, "an overlay '\(terms.name)' exists already", hint: "choose another name")
    }
    let own = overlays.values.count { $0.record.owner == owner.user }
    if let bound, own >= bound {
      throw SliceError(
        .refused, "you may have \(bound) overlays, and have \(own)",
        hint: "delete one, or ask the node's administrator")
    }
    guard overlays.count < Self.most else {
      throw SliceError(.failed, "this node has \(Self.most) overlays at most", hint: "delete one")
    }
    guard !terms.subnet.overlaps(policy.addresses4) else {
      throw SliceError(
        .usage, "subnet \(terms.subnet) overlaps \(policy.addresses4), where slices have their own",
        hint: "choose another subnet")
    }
    for other in overlays.values where other.record.identifier == terms.identifier {
      throw SliceError(
        .failed, "overlay '\(terms.name)' would have the number \(terms.identifier) of another one",
        hint: "give it another with --id, on every node")
    }
    try requireSupport(encrypted: terms.isEncrypted)
  }

  /// Tries it once: what a kernel can it goes on being able to, and a trial takes tens of milliseconds.
  private func requireSupport(encrypted: Bool) throws(SliceError) {
    guard !supported.withLock({ $0.contains(encrypted) }) else { return }
    try OverlayNetwork.requireSupport(encrypted: encrypted)
    _ = supported.withLock { $0.insert(encrypted) }
  }

  /// Removes an overlay without members.
  func delete(_ name: OverlayName) throws(SliceError) {
    try overlays.withLock { (overlays) throws(SliceError) in
      let held = try Self.find(name, in: overlays)
      guard held.record.members.isEmpty else {
        throw SliceError(
          .failed,
          "overlay '\(name)' has members: \(held.record.members.keys.sorted().joined(separator: ", "))",
          hint: "have them leave first: slicectl overlay leave \(name) SLICE")
      }
      overlays[name] = nil
      let left = remains(of: name.text)
      guard left.isEmpty else {
        overlays[name] = held
        throw SliceError(.failed, "not everything could be removed").leaving(left)
      }
      try guardCarriers(of: overlays)
    }
  }

  /// Takes away record and namespace. Returns what stayed.
  private func remains(of name: String) -> [String] {
    var left: [String] = []
    do throws(SliceError) {
      try store.remove(name)
      try OverlayNetwork.remove(keptAt: namespacePath(name))
    } catch {
      left.append(error.message)
    }
    return left
  }

  private func build(_ record: OverlayRecord) throws(SliceError) -> OverlayNetwork {
    try OverlayNetwork(
      record.terms(), keptAt: namespacePath(record.name), object: layout.overlayPrograms)
  }

  // MARK: - Members

  /// Makes a slice a member, at once if it runs. Returns its address.
  ///
  /// - Parameters:
  ///   - wanted: nil: the smallest that is free.
  ///   - process: of the slice that runs; nil: it does not.
  func join(
    _ name: OverlayName, _ slice: SliceRecord, wanted: IPv4Address?, process: PidFD?
  ) throws(SliceError) -> IPv4Address {
    try overlays.withLock { (overlays) throws(SliceError) in
      var held = try Self.find(name, in: overlays)
      let terms = try held.record.terms()
      guard held.record.members[slice.name] == nil else {
        throw SliceError(.failed, "slice '\(slice.name)' is in overlay '\(name)' already")
      }
      for other in overlays.values where other.record.members[slice.name] != nil {
        let others = try other.record.terms()
        guard !others.subnet.overlaps(terms.subnet) else {
          throw SliceError(
            .failed,
            "slice '\(slice.name)' is in overlay '\(others.name)', whose subnet \(others.subnet) overlaps \(terms.subnet)"
          )
        }
      }
      let taken = held.record.addresses
      if let wanted { try terms.admit(wanted, beside: taken) }
      guard let address = wanted ?? terms.freeAddress(beside: taken) else {
        throw SliceError(
          .failed,
          "all \(terms.part.capacity) addresses of this node in overlay '\(name)' are in use")
      }
      let network = try ready(&held)
      held.record.members[slice.name] = address.description
      try store.save(held.record)
      do throws(SliceError) {
        if let process {
          try network.attach(
            Self.member(slice, at: address),
            in: try NetworkNamespace(of: process))
        }
      } catch {
        held.record.members[slice.name] = nil
        do throws(SliceError) { try store.save(held.record) } catch {
          throw error.leaving(["the membership of '\(slice.name)': \(error.message)"])
        }
        throw error
      }
      overlays[name] = held
      return address
    }
  }

  /// The opposite.
  func leave(_ name: OverlayName, _ slice: SliceRecord) throws(SliceError) {
    try overlays.withLock { (overlays) throws(SliceError) in
      var held = try Self.find(name, in: overlays)
      guard held.record.members[slice.name] != nil else {
        throw SliceError(.failed, "slice '\(slice.name)' is not in overlay '\(name)'")
      }
      try remove(slice, from: &held)
      overlays[name] = held
    }
  }

  private func remove(_ slice: SliceRecord, from held: inout Held) throws(SliceError) {
    var record = held.record
    record.members[slice.name] = nil
    try store.save(record)
    held.record = record
    try held.network?.detach(number: slice.number)
  }

  /// Has a slice be in none, because it is about to be no more.
  func forget(_ slice: SliceRecord) throws(SliceError) {
    try eachOf(slice) { (held) throws(SliceError) in try remove(slice, from: &held) }
  }

  /// Gives a slice that is about to start its links in all that it is a member of.
  func attach(_ slice: SliceRecord, in namespace: NetworkNamespace) throws(SliceError) {
    try eachOf(slice) { (held) throws(SliceError) in
      guard let address = held.record.address(of: slice.name) else { return }
      do throws(SliceError) {
        try ready(&held).attach(Self.member(slice, at: address), in: namespace)
      } catch {
        throw error.within("overlay \(held.record.name)")
      }
    }
  }

  /// Holds a slice that runs to what it is granted now, in all that it is a member of.
  func update(_ slice: SliceRecord, to grants: RawGrants?) throws(SliceError) {
    try eachOf(slice) { (held) throws(SliceError) in
      guard let address = held.record.address(of: slice.name) else { return }
      try held.network?.update(Self.member(slice, at: address, grants))
    }
  }

  static func member(
    _ slice: SliceRecord, at address: IPv4Address
  ) throws(SliceError) -> OverlayMember {
    // One that runs without raw sockets has what was granted since from its next start on.
    let hasRawSockets = slice.run.map { $0.hasRawSockets == true } ?? true
    return member(slice, at: address, hasRawSockets ? try slice.spec.settings.rawGrants() : nil)
  }

  private static func member(
    _ slice: SliceRecord, at address: IPv4Address, _ grants: RawGrants?
  ) -> OverlayMember {
    let usual = [IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP].map { UInt8($0) }
    return OverlayMember(
      number: slice.number, address: address,
      protocols: (grants?.ipv4 ?? []).subtracting(usual))
  }

  /// Has the links of a slice that has ended pass nothing any more.
  func dismiss(_ slice: SliceRecord) throws(SliceError) {
    try eachOf(slice) { (held) throws(SliceError) in
      try held.network?.dismiss(number: slice.number)
    }
  }

  /// Addresses of a slice, by overlay.
  func addresses(of slice: String) -> [(overlay: String, address: String)] {
    all().compactMap { held in held.record.members[slice].map { (held.record.name, $0) } }
  }

  private func eachOf(
    _ slice: SliceRecord, _ body: (inout Held) throws(SliceError) -> Void
  ) throws(SliceError) {
    try overlays.withLock { (overlays) throws(SliceError) in
      for name in overlays.keys.sorted() where overlays[name]?.record.members[slice.name] != nil {
        try body(&overlays[name]!)
      }
    }
  }

  /// The network of an overlay, built now with its carrier if it could not be before.
  func ready(_ held: inout Held) throws(SliceError) -> OverlayNetwork {
    if let network = held.network { return network }
    let network = try build(held.record)
    held.network = network
    held.problem = Self.text(carry(held.record, network))
    return network
  }

  // MARK: - Peers

  /// Adds a peer, or changes the one with the same address.
  func add(_ peer: OverlayPeer, to name: OverlayName) throws(SliceError) -> Held {
    try overlays.withLock { (overlays) throws(SliceError) in
      var held = try Self.find(name, in: overlays)
      let before = try held.record.peers.map { (peer) throws(SliceError) in try peer.peer() }
      try peer.validate(
        for: try held.record.terms(), beside: before.filter { $0.host != peer.host })
      let former = before.first { $0.host == peer.host }
      let network = try ready(&held)
      let earlier = held.record
      held.record.peers.removeAll { $0.host == peer.host.description }
      held.record.peers.append(OverlayRecord.Peer(peer))
      overlays[name] = held
      do throws(SliceError) {
        // Before there is anything that could be imitated.
        try guardCarriers(of: overlays)
        try store.save(held.record)
        try network.carry(host)
        if let former, former != peer { try network.remove(former) }
        try network.set(peer)
        try network.open()
      } catch {
        held.record = earlier
        overlays[name] = held
        throw error.leaving(
          attempt("peer \(peer.host)") { () throws(SliceError) in
            try withdraw(peer, for: former, from: network, to: earlier)
            try guardCarriers(of: overlays)
          })
      }
      held.problem = nil
      overlays[name] = held
      return held
    }
  }

  /// Has a peer that could not be added be none, and the one that it took the place of be there.
  private func withdraw(
    _ peer: OverlayPeer, for former: OverlayPeer?, from network: OverlayNetwork,
    to record: OverlayRecord
  ) throws(SliceError) {
    try store.save(record)
    try network.remove(peer)
    if let former { try network.set(former) }
    if record.peers.isEmpty { try network.close() }
  }

  func removePeer(_ address: PeerAddress, from name: OverlayName) throws(SliceError) -> Held {
    try overlays.withLock { (overlays) throws(SliceError) in
      var held = try Self.find(name, in: overlays)
      guard let entry = held.record.peers.first(where: { $0.host == address.description }) else {
        throw SliceError(.failed, "\(address) is no peer of overlay '\(name)'")
      }
      held.record.peers.removeAll { $0 == entry }
      try store.save(held.record)
      overlays[name] = held
      try held.network?.remove(try entry.peer())
      // Without peers there is nothing to listen for.
      if held.record.peers.isEmpty { try held.network?.close() }
      try guardCarriers(of: overlays)
      return held
    }
  }

  /// The same once more, after somebody may have taken it away.
  func renewGuard() throws(SliceError) {
    try overlays.withLock { (overlays) throws(SliceError) in try guardCarriers(of: overlays) }
  }

  /// While peers believe the addresses of this node's packets nobody else may send such.
  func guardCarriers(of overlays: [OverlayName: Held]) throws(SliceError) {
    try OverlayNetwork.guardCarriers(overlays.values.contains { $0.record.isCarriedInTheOpen })
  }
}
