import CClassifier
import Descriptor
import Glibc
import SliceModel
import Synchronization

/// The programs of one overlay (CShims/classifier/overlay.bpf.c) that hold its members to their own
/// addresses and its peers to their parts. Links are those of the overlay's namespace, by index.
final class OverlayGuard: Sendable {
  // A pointer to what never changes once it is made; the kernel's maps take care of themselves.
  private struct Handle: @unchecked Sendable { let pointer: OpaquePointer }
  private let handle: Handle

  init(object path: String, _ terms: OverlayTerms) throws(SliceError) {
    var flat = ccl_overlay_terms()
    fill(&flat.subnet, with: terms.subnet.network.bytes)
    flat.subnet_length = UInt8(terms.subnet.prefixLength)
    fill(&flat.part, with: terms.part.network.bytes)
    flat.part_length = UInt8(terms.part.prefixLength)
    fill(&flat.gateway, with: terms.part.gateway.bytes)
    flat.network = terms.identifier
    flat.has_headers = !terms.isEncrypted
    var pointer: OpaquePointer?
    try classifying("overlay \(terms.name)") { ccl_overlay_open(path, &flat, &pointer, $0) }
    handle = Handle(pointer: pointer!)
  }

  deinit { ccl_overlay_close(handle.pointer) }

  var fromMember: Int32 { ccl_overlay_from_member(handle.pointer) }
  var toMember: Int32 { ccl_overlay_to_member(handle.pointer) }
  var fromPeer: Int32 { ccl_overlay_from_peer(handle.pointer) }
  var toPeer: Int32 { ccl_overlay_to_peer(handle.pointer) }

  /// Lets the packets of a member's link pass, as far as they are its own. Before, it drops all.
  func admit(_ member: OverlayMember, link: UInt32) throws(SliceError) {
    var entry = ccl_overlay_member()
    fill(&entry.mac, with: member.mac)
    fill(&entry.host_mac, with: OverlayMember.hostMAC)
    fill(&entry.address, with: member.address.bytes)
    entry.class = TrafficControl.handle(number: member.number)
    setBits(&entry.protocols, member.protocols)
    try classifying("link \(member.link)") {
      ccl_overlay_admit(handle.pointer, link, &entry, $0)
    }
  }

  func dismiss(link: UInt32) throws(SliceError) {
    try classifying("link \(link)") { ccl_overlay_dismiss(handle.pointer, link, $0) }
  }

  /// Counts what the carrier drops.
  func count(carrier link: UInt32) throws(SliceError) {
    try classifying("the carrier") { ccl_overlay_count(handle.pointer, link, $0) }
  }

  func set(_ peer: OverlayPeer, isEncrypted: Bool) throws(SliceError) {
    let host = peer.host.padded
    let family = isEncrypted ? 0 : peer.host.family
    try classifying("peer \(peer.host)") {
      ccl_overlay_set_peer(
        handle.pointer, peer.part.network.bytes, UInt8(peer.part.prefixLength), family, host, $0)
    }
  }

  func remove(_ peer: OverlayPeer) throws(SliceError) {
    try classifying("peer \(peer.host)") {
      ccl_overlay_remove_peer(
        handle.pointer, peer.part.network.bytes, UInt8(peer.part.prefixLength), $0)
    }
  }

  private static let reasons = (0..<ccl_overlay_reasons()).map {
    String(cString: ccl_overlay_reason_name($0))
  }

  /// Packets dropped on a link, by reason, in the order of the program's list.
  func drops(link: UInt32) throws(SliceError) -> [(reason: String, packets: UInt64)] {
    var packets = [UInt64](repeating: 0, count: Self.reasons.count)
    try classifying("drops of link \(link)") {
      ccl_overlay_drops(handle.pointer, link, &packets, $0)
    }
    return Array(zip(Self.reasons, packets))
  }
}

extension PeerAddress {
  var family: Int32 {
    switch self {
    case .ipv4: AF_INET
    case .ipv6: AF_INET6
    }
  }

  /// 16 bytes, of which an IPv4 address fills the first four.
  var padded: [UInt8] {
    switch self {
    case .ipv4(let address): address.bytes + [UInt8](repeating: 0, count: 12)
    case .ipv6(let address): address.bytes
    }
  }
}
