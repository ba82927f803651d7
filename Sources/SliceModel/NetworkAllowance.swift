/// What one slice may reach beside what the node lets all slices reach: an item of `net.allow`.
public enum NetworkAllowance: Sendable, Hashable {
  /// Of the site's, which are refused otherwise.
  case network(AddressNetwork)
  /// Of the host.
  case port(TransportPort)

  /// `10.1.2.0/24`, `fd00:1::/32`, one address, or `53/udp`.
  public init?(_ text: String) {
    if let port = TransportPort(text) {
      self = .port(port)
    } else if let network = AddressNetwork(text) {
      self = .network(network)
    } else {
      return nil
    }
  }

  /// What a person is told to write.
  public static let expectation =
    "networks without host bits such as 10.1.2.0/24 or fd00:1::/32, and ports of the host such as 53/udp"

  /// How many a slice may have: each takes memory of the kernel's.
  public static let most = 64

  /// Whether who may have this may have `other`.
  public func covers(_ other: NetworkAllowance) -> Bool {
    switch (self, other) {
    case (.network(let mine), .network(let theirs)): mine.contains(theirs)
    case (.port(let mine), .port(let theirs)): mine == theirs
    default: false
    }
  }
}

extension NetworkAllowance: CustomStringConvertible {
  public var description: String {
    switch self {
    case .network(let network): network.description
    case .port(let port): "\(port.port)/\(port.transport.rawValue)"
    }
  }
}

extension AddressNetwork {
  /// Whether it is one of IPv4.
  public var isIPv4: Bool {
    mappedLength >= 96 && bytes.prefix(12) == IPv4Address(value: 0).mappedBytes.prefix(12)
  }

  /// Whether all addresses of `other` are its own. No network holds some of each family.
  public func contains(_ other: AddressNetwork) -> Bool {
    guard isIPv4 == other.isIPv4, mappedLength <= other.mappedLength else { return false }
    return (0..<mappedLength).allSatisfy { bit in
      (bytes[bit / 8] ^ other.bytes[bit / 8]) & (0x80 >> UInt8(bit % 8)) == 0
    }
  }
}

extension Settings {
  /// The items of `net.allow`; empty where it is not set. What `validate` has let pass does not throw.
  public func networkAllowances() throws(SliceError) -> Set<NetworkAllowance> {
    guard case .list(let items) = self[.netAllow] else { return [] }
    guard items.count <= NetworkAllowance.most else {
      throw SliceError(
        .usage,
        "net.allow has \(items.count) items, and may have \(NetworkAllowance.most)",
        hint: "name a larger network in place of several")
    }
    var allowances: Set<NetworkAllowance> = []
    for item in items {
      guard let allowance = NetworkAllowance(item) else {
        throw SliceError(
          .usage, "net.allow: '\(item.prefix(64).description.escapedForTerminal)' is not valid",
          hint: "net.allow takes \(NetworkAllowance.expectation)")
      }
      allowances.insert(allowance)
    }
    return allowances
  }
}
