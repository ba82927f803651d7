/// What slices may reach, beside each other: all the world but the host and its site's private
/// networks, unless the administrator allows more.
public struct NetworkPolicy: Sendable, Hashable {
  /// Networks that slices may reach although they are private.
  public var allow: [AddressNetwork] = []
  /// Ports of the host that they may use.
  public var hostPorts: [TransportPort] = []
  /// Names of the links to the world; none: those with a default route.
  public var uplinks: [String] = []
  /// Ports of the node's address for slices that share it.
  public var sharedPorts = SharedPorts()

  public init() {}

  /// Addresses that mean something at this site alone: IANA's special-purpose registries (RFC 6890)
  /// without those of documentation, which no network has. Multicast is dropped before it is asked
  /// where it goes.
  static let privateNetworks = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "240.0.0.0/4",
    "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "fec0::/10",
  ].compactMap(AddressNetwork.init)

  /// One network and whether it may be reached. Of two that hold an address the longer prefix wins.
  public struct Rule: Sendable, Hashable {
    public var network: AddressNetwork
    public var isAllowed: Bool
  }

  /// No two rules are of the same network.
  public var rules: [Rule] {
    let allowed = Set(allow)
    return Self.privateNetworks.filter { !allowed.contains($0) }.map {
      Rule(network: $0, isAllowed: false)
    } + allowed.map { Rule(network: $0, isAllowed: true) }
  }

  /// One port of one address, or of all the host's.
  public struct Service: Sendable, Hashable {
    /// 16 bytes as `IPv4Address.mappedBytes`; zeros stand for the host.
    public var address: [UInt8]
    public var port: UInt16
    public var transport: Transport

    public init(address: [UInt8], port: UInt16, transport: Transport) {
      self.address = address
      self.port = port
      self.transport = transport
    }

    /// At each address of the host.
    public static func host(_ port: TransportPort) -> Service {
      Service(
        address: [UInt8](repeating: 0, count: 16), port: port.port, transport: port.transport)
    }
  }

  /// Ports of the host.
  public var services: [Service] { hostPorts.map(Service.host) }

  /// What these servers do for slices, wherever they are: the node itself tells slices to ask them.
  public static func nameServices(_ servers: [String]) -> [Service] {
    let addresses = servers.compactMap { text in
      IPv4Address(text)?.mappedBytes ?? IPv6Address(text)?.bytes
    }
    return addresses.flatMap { address in
      Transport.allCases.map { Service(address: address, port: 53, transport: $0) }
    }
  }
}

/// Protocols with ports.
public enum Transport: String, Sendable, Hashable, CaseIterable {
  case tcp
  case udp

  /// IANA's protocol number.
  public var number: UInt8 {
    switch self {
    case .tcp: 6
    case .udp: 17
    }
  }
}

/// A port as people write it: `53/udp`.
public struct TransportPort: Sendable, Hashable {
  public var port: UInt16
  public var transport: Transport

  public init(port: UInt16, transport: Transport) {
    self.port = port
    self.transport = transport
  }

  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = decimal(parts[0]), let port = UInt16(exactly: number),
      port > 0, let transport = Transport(rawValue: String(parts[1]))
    else { return nil }
    self.port = port
    self.transport = transport
  }
}

extension TransportPort: CustomStringConvertible {
  public var description: String { "\(port)/\(transport.rawValue)" }
}

/// A network of either family: `10.1.2.0/24`, `fd00:1::/32`, or one address.
public struct AddressNetwork: Sendable, Hashable {
  /// 16 bytes, IPv4 as `IPv4Address.mappedBytes`.
  public let bytes: [UInt8]
  /// Bits of `bytes` that count.
  public let mappedLength: Int
  private let text: String

  /// Nil where bits beyond the prefix are set: such a text is a slip more often than meant.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let first = parts.first else { return nil }
    let own: Int
    if let four = IPv4Address(String(first)) {
      (bytes, own) = (four.mappedBytes, 32)
    } else if let six = IPv6Address(String(first)) {
      (bytes, own) = (six.bytes, 128)
    } else {
      return nil
    }
    let length = parts.count == 2 ? decimal(parts[1]).flatMap { Int(exactly: $0) } : own
    guard let length, (0...own).contains(length) else { return nil }
    mappedLength = 128 - own + length
    self.text = text
    for bit in mappedLength..<128 where bytes[bit / 8] & (0x80 >> UInt8(bit % 8)) != 0 {
      return nil
    }
  }

  public static func == (left: AddressNetwork, right: AddressNetwork) -> Bool {
    left.bytes == right.bytes && left.mappedLength == right.mappedLength
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(bytes)
    hasher.combine(mappedLength)
  }
}

extension AddressNetwork: CustomStringConvertible {
  public var description: String { text }
}

extension IPv4Address {
  /// In network byte order, as an IPv6 address (RFC 4291, section 2.5.5.2).
  public var mappedBytes: [UInt8] { [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + bytes }
}
