/// What of its own a slice may send and see raw: the items of `raw.allow`.
public struct RawGrants: Sendable, Hashable {
  /// Source ports of UDP and TCP.
  public var udp: [ClosedRange<UInt16>] = []
  public var tcp: [ClosedRange<UInt16>] = []
  /// Numbers of protocols, whole, of packets of each family.
  public var ipv4: Set<UInt8> = []
  public var ipv6: Set<UInt8> = []
  public var ethertypes: Set<UInt16> = []
  /// Packet sockets that receive every frame of the slice's own links.
  public var sniffs = false
  /// tun0, tun1 and so on.
  public var tunnels: [Tunnel] = []
  public var hasXDP = false

  /// How many ranges of ports of a protocol, and how many ethertypes, there may be
  /// (SLICE_RAW_RANGES, SLICE_RAW_ETHERTYPES of slice_raw.h).
  public static let most = 16

  /// A TUN device.
  public struct Tunnel: Sendable, Hashable {
    /// 4 or 16 bytes; nil: without an address.
    public var address: [UInt8]?
    /// Of the address's network.
    public var prefix = 0
    /// Whether it has several queues.
    public var hasQueues = false
  }

  public init() {}

  public init(_ items: [String]) throws(SliceError) {
    for item in items { try add(item) }
    guard tunnels.count <= 4 else {
      throw SliceError(.usage, "raw.allow has \(tunnels.count) items of tun, and may have 4")
    }
    for (word, count) in [("udp", udp.count), ("tcp", tcp.count), ("ethertype", ethertypes.count)]
    where count > Self.most {
      throw SliceError(
        .usage, "raw.allow has \(count) items of \(word), and may have \(Self.most)",
        hint: word == "ethertype" ? nil : "a range such as \(word):1024-65535 takes in several")
    }
  }

  /// What a person is told to write.
  public static let expectation =
    "icmp, icmp6, udp:PORT[-PORT], tcp:PORT[-PORT], proto:NUMBER, ethertype:0xNUMBER, sniff, tun[:ADDRESS/LENGTH][:queues], xdp"

  private mutating func add(_ item: String) throws(SliceError) {
    let parts = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    switch (parts[0], parts.count == 2 ? parts[1] : nil) {
    case ("icmp", nil): ipv4.insert(Self.icmp)
    case ("icmp6", nil): ipv6.insert(Self.icmp6)
    case ("sniff", nil): sniffs = true
    case ("tun", let details): tunnels.append(try Self.tunnel(details, of: item))
    case ("xdp", nil): hasXDP = true
    case ("udp", let ports?): udp += try Self.ports(ports, of: item)
    case ("tcp", let ports?): tcp += try Self.ports(ports, of: item)
    case ("proto", let number?): try add(protocol: number, of: item)
    case ("ethertype", let number?): ethertypes.insert(try Self.ethertype(number, of: item))
    default: throw Self.invalid(item)
    }
  }

  static let icmp: UInt8 = 1
  static let icmp6: UInt8 = 58

  private static func invalid(_ item: String, _ why: String? = nil) -> SliceError {
    let shown = item.prefix(64).description.escapedForTerminal
    return SliceError(
      .usage, "raw.allow: '\(shown)' is not valid" + (why.map { ": \($0)" } ?? ""),
      hint: "raw.allow takes \(expectation)")
  }

  private static func ports(
    _ text: Substring, of item: String
  ) throws(SliceError) -> [ClosedRange<UInt16>] {
    guard let ports = PortRanges(String(text)) else { throw invalid(item) }
    return ports.ranges
  }

  private static func tunnel(
    _ details: Substring?, of item: String
  ) throws(SliceError) -> Tunnel {
    var tunnel = Tunnel()
    guard var text = details else { return tunnel }
    if text == "queues" || text.hasSuffix(":queues") {
      tunnel.hasQueues = true
      text = text.dropLast(text == "queues" ? 6 : 7)
      if text.isEmpty { return tunnel }
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let length = decimal(parts[1]) else { throw invalid(item) }
    if let address = IPv4Address(String(parts[0])), (1...32).contains(length) {
      tunnel.address = Array(address.mappedBytes.suffix(4))
      // 0.0.0.0/8, 127.0.0.0/8, and multicast and reserved ones: no host's.
      let first = tunnel.address![0]
      guard first != 0, first != 127, first < 224 else {
        throw invalid(item, "no host can have that address")
      }
    } else if let address = IPv6Address(String(parts[0])), (1...128).contains(length) {
      tunnel.address = address.bytes
      // ::, ::1 and multicast.
      guard address.bytes.dropLast().contains(where: { $0 != 0 }), address.bytes[0] != 0xFF else {
        throw invalid(item, "no host can have that address")
      }
    } else {
      throw invalid(item)
    }
    tunnel.prefix = length
    return tunnel
  }

  /// Headers of IPv6 that hide the next one, and their kin: the classifier lets none pass, because
  /// others would look for ports behind them.
  private static let extensionHeaders: Set<UInt8> = [0, 43, 44, 51, 60, 135, 139, 140]

  private mutating func add(protocol text: Substring, of item: String) throws(SliceError) {
    guard let number = decimal(text).flatMap({ UInt8(exactly: $0) }) else {
      throw Self.invalid(item)
    }
    guard number != 0, number != 255 else {
      throw Self.invalid(item, "protocols are 1 to 254")
    }
    if number != Self.icmp6 { ipv4.insert(number) }
    if number != Self.icmp, !Self.extensionHeaders.contains(number) { ipv6.insert(number) }
  }

  private static func ethertype(_ text: Substring, of item: String) throws(SliceError) -> UInt16 {
    let number =
      text.hasPrefix("0x")
      ? text.dropFirst(2).allSatisfy(\.isHexDigit) ? UInt16(text.dropFirst(2), radix: 16) : nil
      : decimal(text).flatMap { UInt16(exactly: $0) }
    guard let number else { throw invalid(item) }
    guard number >= 0x0600 else { throw invalid(item, "less than 0x0600 is a length") }
    switch number {
    case 0x0800, 0x86DD:
      throw invalid(item, "IP is granted by protocol and port, and seen with sniff")
    case 0x8100, 0x88A8, 0x9100: throw invalid(item, "tagged frames never pass")
    default: return number
    }
  }
}

extension RawGrants {
  /// ARP, RFC 826.
  public static let arp: UInt16 = 0x0806

  /// Whether it may ask for an address (RFC 2131, client port).
  public var asksForAddress: Bool { udp.contains { $0.contains(68) } || ipv4.contains(17) }

  /// Whether something of `earlier` is missing here, of what sockets are for.
  public func takesFrom(_ earlier: RawGrants) -> Bool {
    func covers(_ ranges: [ClosedRange<UInt16>], _ others: [ClosedRange<UInt16>]) -> Bool {
      others.allSatisfy { other in
        other.allSatisfy { port in ranges.contains { $0.contains(port) } }
      }
    }
    return
      !(covers(udp, earlier.udp) && covers(tcp, earlier.tcp)
      && ipv4.isSuperset(of: earlier.ipv4) && ipv6.isSuperset(of: earlier.ipv6)
      && ethertypes.isSuperset(of: earlier.ethertypes) && (sniffs || !earlier.sniffs)
      && (hasXDP || !earlier.hasXDP))
  }
}

extension Settings {
  /// The items of `raw.allow`; nil where it is not set. What `validate` has let pass does not throw.
  public func rawGrants() throws(SliceError) -> RawGrants? {
    guard case .list(let items) = self[.rawAllow] else { return nil }
    return try RawGrants(items)
  }

  func validateRawGrants() throws(SliceError) {
    guard let grants = try rawGrants() else { return }
    guard self[.seccompLog] != .flag(true) else {
      throw SliceError(
        .usage, "raw.allow and seccomp.log=true can't be had together",
        hint: "a process can have one filter that asks, and each of the two needs it")
    }
    switch networkMode {
    case .routed: return
    case .none:
      throw SliceError(
        .usage, "raw.allow needs a network, and this is net.mode=none",
        hint: "leave one of the two out")
    case .shared:
      let other = grants.ipv4.union(grants.ipv6).subtracting([RawGrants.icmp, RawGrants.icmp6])
      guard other.isEmpty, grants.ethertypes.isEmpty, !grants.hasXDP else {
        throw SliceError(
          .usage, "proto, ethertype and xdp of raw.allow need net.mode=routed, and this is shared",
          hint: "what has no port can't be told apart on the node's address")
      }
    }
  }
}
