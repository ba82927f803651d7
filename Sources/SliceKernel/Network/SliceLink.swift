import SliceModel

/// The addresses of one slice.
public struct SliceAddresses: Sendable, Hashable {
  public var ipv4: IPv4Address
  /// Nil where the host has no IPv6.
  public var ipv6: IPv6Address?
  public init(ipv4: IPv4Address, ipv6: IPv6Address?) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
  }
}

/// What a slice's link is. All of it follows from the slice's number, so that a link can be made before
/// there is a slice: `NetworkControl` makes it, `Classifier` lets packets pass.
public struct SliceLink: Sendable, Hashable {
  public let number: Int
  public let addresses: SliceAddresses
  /// The host's own towards slices.
  public let gateways: SliceAddresses
  /// Whose addresses these are, where a slice shares them: none of the host's routes leads to it then.
  public let node: NodeAddress?

  public init(number: Int, addresses: SliceAddresses, gateways: SliceAddresses) {
    self.number = number
    self.addresses = addresses
    self.gateways = gateways
    node = nil
  }

  /// That of a slice which shares the node's addresses.
  public init(number: Int, sharing node: NodeAddress, gateways: SliceAddresses) {
    self.number = number
    addresses = node.addresses
    self.gateways = gateways
    self.node = node
  }

  /// What the names of all links start with.
  public static let prefix = "sl-"
  public static func name(_ number: Int) -> String { "\(prefix)\(number)" }
  /// Of the host's end.
  public var name: String { Self.name(number) }

  /// The number of the slice whose link has this name.
  public static func number(of name: String) -> Int? {
    name.hasPrefix(prefix) ? Int(name.dropFirst(prefix.count)) : nil
  }
}

/// MAC addresses, locally administered (IEEE 802: second bit of the first byte).
extension SliceLink {
  /// Of the host's end of every link.
  static let hostMAC: [UInt8] = [0x02, 0x73, 0x68, 0, 0, 1]

  /// Of the slice's end, unique by its number.
  var sliceMAC: [UInt8] {
    let low = UInt32(number)
    return [0x02, 0x73, 0x6C] + [16, 8, 0].map { UInt8(truncatingIfNeeded: low >> $0) }
  }
}
