import Glibc
import SliceModel

extension SeccompProfile {
  /// Raw and packet sockets.
  public enum RawSockets: Sendable {
    /// As for anybody without CAP_NET_RAW.
    case refused
    /// The same, but by the filter instead of the kernel, so that whoever listens hears of it.
    case noted
    /// `slice-broker` opens them, see CShims/broker/main.c.
    case asked
  }

  static func isAboutPacketSockets(_ rule: SeccompRule) -> Bool {
    rule.call == "socket" && rule.condition?.argument == 0 && rule.condition?.value == packet
      && rule.condition?.mask == lower
  }

  /// What the broker is asked, and what would go round it. Only registers are compared, and of those
  /// the bits that the kernel reads: `domain`, `type`, `level` and `optname` are ints.
  static let rawSocketRules: [SeccompRule] = {
    let sockets =
      [SeccompRule("socket", .ask, when: equal(0, packet))] + rawInternetSockets(.ask)
    func option(
      _ level: UInt64, _ name: UInt64, _ action: SeccompRule.Action
    ) -> SeccompRule {
      SeccompRule("setsockopt", action, when: equal(1, level), and: equal(2, name))
    }
    let filters = [
      UInt64(26) /* SO_ATTACH_FILTER */, 27 /* SO_DETACH_FILTER */, 44, /* SO_LOCK_FILTER */
    ]
    let rings = [UInt64(5) /* PACKET_RX_RING */, 13 /* PACKET_TX_RING */]
    let memberships = [
      UInt64(1) /* PACKET_ADD_MEMBERSHIP */, 2, /* PACKET_DROP_MEMBERSHIP */
    ]
    return sockets + filters.map { option(1 /* SOL_SOCKET */, $0, .ask) }
      + [option(1, 50 /* SO_ATTACH_BPF */, .fail(EPERM))]
      + (rings + memberships).map { option(packetLevel, $0, .ask) }
      + refused.map { option(packetLevel, $0, .fail(EPERM)) }
  }()

  /// Frames with a header of the sender's for the device, other programs for who gets what, and
  /// sending past the queue, where packets are judged.
  private static var refused: [UInt64] {
    #if DEBUG
      if Mutation.current == .rawOptions { return [] }
    #endif
    return [
      15 /* PACKET_VNET_HDR */, 18 /* PACKET_FANOUT */, 20 /* PACKET_QDISC_BYPASS */,
      24, /* PACKET_VNET_HDR_SZ */
    ]
  }

  /// Raw sockets of IPv4 and IPv6.
  static func rawInternetSockets(_ action: SeccompRule.Action) -> [SeccompRule] {
    let raw = SeccompRule.Condition(argument: 1, mask: 0xF /* SOCK_TYPE_MASK */, value: 3)
    return [UInt64(2), 10].map { SeccompRule("socket", action, when: equal(0, $0), and: raw) }
  }

  private static let packet: UInt64 = 17  // AF_PACKET
  private static let packetLevel: UInt64 = 263  // SOL_PACKET
  private static let lower: UInt64 = 0xFFFF_FFFF

  private static func equal(_ argument: UInt32, _ value: UInt64) -> SeccompRule.Condition {
    SeccompRule.Condition(argument: argument, mask: lower, value: value)
  }
}
