import CKernel
import CNetlink
import Descriptor
import Glibc
import SliceModel
import Synchronization

/// A member's end of things in an overlay. Names and addresses follow from the slice's number and its
/// address.
public struct OverlayMember: Sendable, Hashable {
  /// Of the slice.
  public var number: Int
  public var address: IPv4Address
  /// Of IPv4: what its raw sockets were granted, and so passes between members that have it.
  public var protocols: Set<UInt8>

  public init(number: Int, address: IPv4Address, protocols: Set<UInt8>) {
    self.number = number
    self.address = address
    self.protocols = protocols
  }

  /// What the names of members' links start with, in the overlay's namespace.
  static let prefix = "m-"
  var link: String { Self.link(of: number) }
  static func link(of number: Int) -> String { "\(prefix)\(number)" }

  /// Locally administered, as those of `SliceLink`: of the overlay's end of every link, and the slice's.
  static let hostMAC: [UInt8] = [0x02, 0x73, 0x6F, 0, 0, 1]
  var mac: [UInt8] { [0x02, 0x6F] + address.bytes }
}

/// An overlay on this node: a network namespace of its own, in which there is nothing but the links of
/// its members and its carrier. What is in it outlives this process.
///
///     slice                       overlay's namespace                host's namespace
///     mesh 10.64.3.2/32 ── veth ── m-7    10.64.3.2/32 dev m-7
///     10.64.0.0/16 via 10.64.3.1   lo      10.64.3.1/32
///                                  carrier 10.64.0.0/16 ┄┄┄┄┄┄┄┄┄┄┄┄ UDP ── uplink
///
/// A namespace rather than rules, because then nobody has to keep apart what is apart: two overlays may
/// have the same addresses, the host has no route into either, and no packet of one can take a way that
/// leads anywhere else.
public final class OverlayNetwork: Sendable {
  public let terms: OverlayTerms
  private let namespace: NetworkNamespace
  private let control: NetworkControl
  private let programs: OverlayGuard
  /// Indexes of the members' links, by the slices' numbers: their entries in the programs' maps go also
  /// after the kernel has taken the link away.
  private let links = Mutex<[Int: UInt32]>([:])
  private static let carrierName = "carrier"
  /// VXLAN's (CShims/classifier/overlay.h).
  private static let carrierMAC: [UInt8] = [0x02, 0x73, 0x6F, 0, 0, 2]

  /// Takes over the one that is kept at `path`, or makes it.
  ///
  /// - Parameter object: the programs' file.
  public init(_ terms: OverlayTerms, keptAt path: String, object: String) throws(SliceError) {
    self.terms = terms
    programs = try OverlayGuard(object: object, terms)
    namespace = try Self.namespace(path)
    control = try NetworkControl(in: namespace)
    try control.enableForwarding(ipv6: false)
    var pool = cnl_pool()
    pool.family = AF_INET
    pool.length = UInt8(terms.subnet.prefixLength)
    fill(&pool.prefix, with: terms.subnet.network.bytes)
    fill(&pool.gateway, with: terms.part.gateway.bytes)
    // What has no route within the overlay has none at all.
    try control.withContext("overlay \(terms.name)") { cnl_pool_install($0, &pool, $1) }
  }

  private static func namespace(_ path: String) throws(SliceError) -> NetworkNamespace {
    if isKept(path) { return try NetworkNamespace(keptAt: path) }
    // A file without a mount: of a supervisor that was ended between the two.
    try NetworkNamespace.forget(keptAt: path)
    let made = try NetworkNamespace(ipv6: false)
    try made.keep(at: path)
    return made
  }

  /// NSFS_MAGIC (linux/magic.h): what namespaces are files of.
  private static let namespaces: Int64 = 0x6E73_6673

  private static func isKept(_ path: String) -> Bool {
    var magic: Int64 = 0
    // What can't be opened isn't there.
    guard let file = try? Files.open(path, O_RDONLY),
      kernel_file_system_magic(file.rawValue, &magic) == 0
    else { return false }
    return magic == namespaces
  }

  /// Takes all of it away. One that is not there is fine.
  public static func remove(keptAt path: String) throws(SliceError) {
    if isKept(path) {
      // Copies of the mount in other mount namespaces would keep the namespace, and with it the links.
      let control = try NetworkControl(in: try NetworkNamespace(keptAt: path))
      try control.deleteLink(carrierName)
      try control.deleteLinks(try control.links(prefix: OverlayMember.prefix))
    }
    try NetworkNamespace.forget(keptAt: path)
  }

  // MARK: - Members

  /// Gives a slice its link, with an address and the way to the others. A former one is replaced.
  public func attach(
    _ member: OverlayMember, in slice: NetworkNamespace
  ) throws(SliceError) {
    var link = cnl_link()
    fill(&link.name, with: member.link)
    fill(&link.device, with: terms.name.text)
    link.mtu = terms.mtu
    fill(&link.slice_mac, with: member.mac)
    fill(&link.host_mac, with: OverlayMember.hostMAC)
    link.ipv4.present = true
    fill(&link.ipv4.slice, with: member.address.bytes)
    fill(&link.ipv4.gateway, with: terms.part.gateway.bytes)
    fill(&link.network, with: terms.subnet.network.bytes)
    link.network_length = UInt8(terms.subnet.prefixLength)
    var filters = cnl_classifier()
    filters.from_slice = programs.fromMember
    filters.to_slice = programs.toMember
    // Of an earlier run, whose namespace the kernel has not removed yet.
    try detach(number: member.number)
    var handle = slice.handle
    var index: Int32 = 0
    try control.withContext("\(member.link) of overlay \(terms.name)") { context, error in
      withUnsafePointer(to: &filters) {
        link.classifier = $0
        return cnl_link_create(context, &handle, &link, &index, error)
      }
    }
    do throws(SliceError) {
      try RawJudge.spread(to: terms.name.text, in: slice)
      // Before this nothing passes.
      try admit(member, link: UInt32(index))
    } catch {
      // The first error is the one to tell; a link that stays passes nothing, and goes with the slice.
      try? detach(number: member.number)
      throw error
    }
  }

  private func admit(_ member: OverlayMember, link: UInt32) throws(SliceError) {
    links.withLock { $0[member.number] = link }
    try programs.admit(member, link: link)
  }

  /// Has the programs on a link be this supervisor's.
  private func attachPrograms(to member: OverlayMember, link: UInt32) throws(SliceError) {
    var filters = cnl_classifier()
    filters.from_slice = programs.fromMember
    filters.to_slice = programs.toMember
    try control.withContext("\(member.link) of overlay \(terms.name)") {
      cnl_classifier_attach($0, Int32(link), &filters, $1)
    }
  }

  /// Takes the link of a slice away. One that is not there is fine.
  public func detach(number: Int) throws(SliceError) {
    try dismiss(number: number)
    try control.deleteLink(OverlayMember.link(of: number))
  }

  /// Forgets the link of a slice that has ended: nothing of it passes any more, and the kernel takes it
  /// away with the slice's namespace.
  public func dismiss(number: Int) throws(SliceError) {
    guard let index = links.withLock({ $0[number] }) else { return }
    try programs.dismiss(link: index)
    links.withLock { $0[number] = nil }
  }

  /// Holds the link of a member that is attached to what the slice is granted now.
  public func update(_ member: OverlayMember) throws(SliceError) {
    let index = try find(member.link)
    guard index != 0 else { return }
    try admit(member, link: index)
    // Of one that could not be taken over they are an earlier supervisor's.
    try attachPrograms(to: member, link: index)
  }

  /// Takes over the link of a slice that an earlier supervisor attached. False: there is none.
  public func adopt(
    _ member: OverlayMember, in slice: NetworkNamespace
  ) throws(SliceError) -> Bool {
    let index = try find(member.link)
    guard index != 0 else { return false }
    try RawJudge.spread(to: terms.name.text, in: slice)
    // First, so that the new programs know it from the first packet.
    try admit(member, link: index)
    try attachPrograms(to: member, link: index)
    return true
  }

  /// Takes away the links of slices that are no members, or don't run.
  public func retain(_ numbers: Set<Int>) throws(SliceError) {
    let names = Set(numbers.map(OverlayMember.link))
    try control.deleteLinks(
      try control.links(prefix: OverlayMember.prefix).filter { !names.contains($0) })
  }

  private func find(_ name: String) throws(SliceError) -> UInt32 {
    var index: Int32 = 0
    try control.withContext("\(name) of overlay \(terms.name)") {
      cnl_link_find($0, name, &index, $1)
    }
    return UInt32(index)
  }

  // MARK: - Peers

  /// Makes the carrier unless it is there, and puts this supervisor's programs on it. It takes no port of
  /// the host before `open`.
  ///
  /// - Parameters:
  ///   - host: of the host's namespace.
  ///   - peers: that the programs are to know from their first packet on.
  public func carry(_ host: NetworkControl, for peers: [OverlayPeer] = []) throws(SliceError) {
    for peer in peers { try programs.set(peer, isEncrypted: terms.isEncrypted) }
    var index = Int32(try find(Self.carrierName))
    if index != 0 {
      try programs.count(carrier: UInt32(index))
      return try control.withContext("the carrier of overlay \(terms.name)") {
        cnl_carrier_attach($0, index, programs.fromPeer, programs.toPeer, $1)
      }
    }
    var carrier = self.carrier
    try hinting { () throws(SliceError) in
      try host.withContext("the carrier of overlay \(terms.name)") { hostContext, error in
        // The overlay's lock inside the host's, here alone.
        control.withRawContext {
          cnl_carrier_create(
            hostContext, $0, namespace.descriptor.rawValue, &carrier, &index, error)
        }
      }
    }
    try programs.count(carrier: UInt32(index))
  }

  /// Has the carrier send and receive. It must be there; one that does already is fine.
  public func open() throws(SliceError) {
    let index = try find(Self.carrierName)
    var carrier = self.carrier
    try hinting { () throws(SliceError) in
      try control.withContext("the carrier of overlay \(terms.name)") {
        cnl_carrier_open($0, Int32(index), &carrier, $1)
      }
    }
  }

  private func hinting(_ body: () throws(SliceError) -> Void) throws(SliceError) {
    do throws(SliceError) {
      try body()
    } catch {
      guard error.code == .failed else { throw error }
      throw SliceError(
        .failed, error.message,
        hint:
          terms.isEncrypted
          ? "another program may have UDP port \(terms.port): 'slicectl overlay create' takes --port"
          : "another program may have UDP port \(terms.port), or VXLAN's number \(terms.identifier): 'slicectl overlay create' takes --id"
      )
    }
  }

  private var carrier: cnl_carrier {
    var carrier = cnl_carrier()
    carrier.kind = terms.isEncrypted ? CNL_WIREGUARD : CNL_VXLAN
    fill(&carrier.name, with: Self.carrierName)
    carrier.mtu = terms.mtu
    carrier.udp_port = terms.port
    carrier.network = terms.identifier
    fill(&carrier.mac, with: Self.carrierMAC)
    fill(&carrier.private_key, with: terms.privateKey?.bytes ?? [])
    fill(&carrier.subnet, with: terms.subnet.network.bytes)
    carrier.subnet_length = UInt8(terms.subnet.prefixLength)
    carrier.from_peer = programs.fromPeer
    carrier.to_peer = programs.toPeer
    return carrier
  }

  /// Gives up the host's port. An encrypted overlay keeps its carrier, which knows its public key; VXLAN's
  /// goes. One that is not there is fine.
  public func close() throws(SliceError) {
    guard terms.isEncrypted else { return try control.deleteLink(Self.carrierName) }
    let index = try find(Self.carrierName)
    guard index != 0 else { return }
    try control.withContext("the carrier of overlay \(terms.name)") {
      cnl_carrier_close($0, Int32(index), $1)
    }
  }

  /// Has nobody but the host's kernel and its root send to VXLAN's port by the host's addresses, which peers
  /// believe; or ends that. In the calling thread's network namespace, the host's.
  public static func guardCarriers(_ wanted: Bool) throws(SliceError) {
    do throws(SliceError) {
      try network("keep users from VXLAN's port") { cnl_carrier_guard(wanted, $0) }
    } catch {
      throw error.code == .unenforceable
        ? SliceError(
          .unenforceable, error.message,
          hint: "this needs nftables and connection tracking; an overlay with --encrypt does not")
        : error
    }
  }

  /// Has a peer, or changes it. The carrier must be there.
  public func set(_ peer: OverlayPeer) throws(SliceError) {
    if let key = peer.key {
      var flat = cnl_wg_peer()
      fill(&flat.public_key, with: key.bytes)
      flat.family = peer.host.family
      fill(&flat.host, with: peer.host.padded)
      flat.udp_port = peer.port ?? terms.port
      fill(&flat.part, with: peer.part.network.bytes)
      flat.part_length = UInt8(peer.part.prefixLength)
      let index = try find(Self.carrierName)
      try network("peer \(peer.host)") {
        cnl_wireguard_set_peer(namespace.descriptor.rawValue, Int32(index), &flat, $0)
      }
    }
    try programs.set(peer, isEncrypted: terms.isEncrypted)
  }

  /// Forgets a peer. One that is not there is fine.
  public func remove(_ peer: OverlayPeer) throws(SliceError) {
    try programs.remove(peer)
    guard let key = peer.key else { return }
    let index = try find(Self.carrierName)
    guard index != 0 else { return }
    try network("peer \(peer.host)") {
      cnl_wireguard_remove_peer(namespace.descriptor.rawValue, Int32(index), key.bytes, $0)
    }
  }

  /// The public half of the private key; the carrier must be there.
  public func publicKey() throws(SliceError) -> WireGuardKey {
    let index = try find(Self.carrierName)
    var bytes = [UInt8](repeating: 0, count: WireGuardKey.length)
    try network("the key of overlay \(terms.name)") {
      cnl_wireguard_public_key(namespace.descriptor.rawValue, Int32(index), &bytes, $0)
    }
    return WireGuardKey(bytes: bytes)!
  }

  // MARK: - Figures

  /// What a link of a member or, with nil, the carrier has carried and dropped; nil: it isn't there.
  public func figures(
    of number: Int?
  ) throws(SliceError) -> (traffic: LinkStatistics, drops: [(reason: String, packets: UInt64)])? {
    let name =
      number.map(OverlayMember.link) ?? Self.carrierName
    let index = try find(name)
    guard index != 0 else { return nil }
    return (try control.statistics(name), try programs.drops(link: index))
  }

  /// Throws `unenforceable` where the kernel has no such carrier.
  public static func requireSupport(encrypted: Bool) throws(SliceError) {
    let place = try NetworkNamespace(ipv6: false)
    var handle = place.handle
    let kind = encrypted ? CNL_WIREGUARD : CNL_VXLAN
    do throws(SliceError) {
      try network("a trial of an overlay") { cnl_carrier_try(&handle, kind, $0) }
    } catch {
      throw SliceError(
        .unenforceable,
        encrypted
          ? "this kernel has no WireGuard, which encryption needs (\(error.message))"
          : "this kernel has no VXLAN that can tell peers apart (\(error.message))",
        hint: encrypted
          ? "'modprobe wireguard' loads it where it is a module; without --encrypt the overlay is open to who can read the network"
          : "'modprobe vxlan' loads it where it is a module; it needs Linux 5.18")
    }
  }
}
