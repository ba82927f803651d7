/// The name of an overlay, and of its interface in a slice: `[a-z][a-z0-9-]{0,12}`, and none that Linux
/// or a slice has a use for.
public struct OverlayName: Sendable, Hashable, Comparable {
  /// Of 15 characters that a link's name may have.
  public static let maximumLength = 13
  private static let taken: Set<String> = ["lo", "eth0", "all", "default"]

  public let text: String

  public init(_ text: String) throws(SliceError) {
    // Its alphabet is that of slices' names: no separator, dot, escape or upper case.
    guard SliceName.isValid(text), text.utf8.count <= Self.maximumLength,
      !Self.taken.contains(text)
    else {
      throw SliceError(
        .usage, "'\(text.escapedForTerminal)' is not a name for an overlay",
        hint:
          "use a lower-case letter, then up to \(Self.maximumLength - 1) lower-case letters, digits or '-'; not \(Self.taken.sorted().joined(separator: ", "))"
      )
    }
    self.text = text
  }

  public static func < (left: OverlayName, right: OverlayName) -> Bool { left.text < right.text }
}

extension OverlayName: CustomStringConvertible {
  public var description: String { text }
}

/// What an overlay is on one node: the same on all its nodes, but for the part.
public struct OverlayTerms: Sendable, Hashable {
  public let name: OverlayName
  /// All of the overlay's addresses.
  public let subnet: AddressPool4
  /// What of them this node gives to its slices. Its second address is the node's own.
  public let part: AddressPool4
  public let isEncrypted: Bool
  /// Where encrypted.
  public let privateKey: WireGuardKey?
  /// VXLAN's network identifier (RFC 7348), 24 bits.
  public let identifier: UInt32
  /// UDP, of every node.
  public let port: UInt16
  /// Bytes that a packet of a member may have.
  public let mtu: UInt32

  /// IANA's for VXLAN; WireGuard's usual one.
  public static func usualPort(encrypted: Bool) -> UInt16 { encrypted ? 51820 : 4789 }
  /// What Ethernet's 1500 bytes leave: VXLAN over IPv6 takes 70; WireGuard over IPv6 80.
  public static func usualMTU(encrypted: Bool) -> UInt32 { encrypted ? 1420 : 1430 }

  /// Networks that belong to nobody on the Internet (RFC 1918, RFC 6598): the others' owners would be out
  /// of the members' reach.
  public static let permitted = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
    .map { AddressPool4($0)! }

  /// - Parameters:
  ///   - part: nil: all of the subnet.
  ///   - identifier: nil: follows from name and subnet, so that all nodes have the same.
  ///   - port, mtu: nil: the usual ones.
  /// - Throws: `usage` for what does not go together.
  public init(
    name: OverlayName, subnet: AddressPool4, part: AddressPool4?, privateKey: WireGuardKey?,
    identifier: UInt32?, port: UInt16?, mtu: UInt32?
  ) throws(SliceError) {
    guard Self.permitted.contains(where: { $0.contains(subnet) }) else {
      throw SliceError(
        .usage, "subnet \(subnet) is not one for private use",
        hint: "take a part of \(Self.permitted.map(\.description).joined(separator: ", "))")
    }
    let part = part ?? subnet
    guard subnet.contains(part) else {
      throw SliceError(.usage, "part \(part) is not in the subnet \(subnet)")
    }
    // Slices are kept from sending to this port alone: from another one the node's own masquerading
    // would make a slice's packet look like the node's.
    guard privateKey != nil || port == nil || port == Self.usualPort(encrypted: false) else {
      throw SliceError(
        .usage, "nodes carry an overlay that is not encrypted by UDP port 4789 alone",
        hint: "leave --port out, or give --encrypt")
    }
    self.name = name
    self.subnet = subnet
    self.part = part
    self.privateKey = privateKey
    isEncrypted = privateKey != nil
    self.identifier = try Self.checked(
      identifier ?? Self.identifier(name, subnet), in: 1...0xFF_FFFF, "id")
    self.port = UInt16(
      try Self.checked(
        UInt32(port ?? Self.usualPort(encrypted: isEncrypted)), in: 1...0xFFFF, "port"))
    self.mtu = try Self.checked(
      mtu ?? Self.usualMTU(encrypted: isEncrypted), in: 576...9000, "MTU")
  }

  private static func checked(
    _ value: UInt32, in range: ClosedRange<UInt32>, _ what: String
  ) throws(SliceError) -> UInt32 {
    guard range.contains(value) else {
      throw SliceError(
        .usage, "\(what) \(value) of an overlay is out of range",
        hint: "it is between \(range.lowerBound) and \(range.upperBound)")
    }
    return value
  }

  /// FNV-1a, of which 24 bits are folded together.
  private static func identifier(_ name: OverlayName, _ subnet: AddressPool4) -> UInt32 {
    let hash = "\(name) \(subnet)".utf8.reduce(UInt32(0x811C_9DC5)) {
      ($0 ^ UInt32($1)) &* 0x0100_0193
    }
    return max(1, hash >> 24 ^ hash & 0xFF_FFFF)
  }

  /// The smallest address that is free, beside those that are `taken`; nil: there is none.
  public func freeAddress(beside taken: Set<IPv4Address>) -> IPv4Address? {
    (0..<part.capacity).lazy.map(part.address).first { !taken.contains($0) }
  }

  /// Refuses an address that this node can't give.
  public func admit(_ address: IPv4Address, beside taken: Set<IPv4Address>) throws(SliceError) {
    let isMember =
      part.contains(address) && address != part.network && address != part.gateway
      && address != part.last
    guard isMember else {
      throw SliceError(
        .usage, "\(address) is not an address that this node gives in overlay \(name)",
        hint: "it gives \(part.address(0)) to \(part.address(part.capacity - 1))")
    }
    guard !taken.contains(address) else {
      throw SliceError(
        .failed, "\(address) belongs to another slice in overlay \(name)",
        hint: "leave --address out to get a free one")
    }
  }
}

extension AddressPool4 {
  /// The broadcast address.
  public var last: IPv4Address {
    IPv4Address(value: network.value | UInt32.max >> UInt32(prefixLength))
  }

  public func contains(_ address: IPv4Address) -> Bool {
    (network.value...last.value).contains(address.value)
  }

  public func contains(_ other: AddressPool4) -> Bool {
    contains(other.network) && contains(other.last)
  }

  public func overlaps(_ other: AddressPool4) -> Bool {
    contains(other.network) || other.contains(network)
  }
}
