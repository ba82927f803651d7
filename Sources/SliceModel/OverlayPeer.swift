/// Another node of an overlay.
public struct OverlayPeer: Sendable, Hashable {
  /// Where it is reached.
  public var host: PeerAddress
  /// UDP; nil: as this node's own. WireGuard alone has another.
  public var port: UInt16?
  /// The addresses that it gives to its slices.
  public var part: AddressPool4
  /// Its public key, where the overlay is encrypted.
  public var key: WireGuardKey?

  public init(host: PeerAddress, port: UInt16? = nil, part: AddressPool4, key: WireGuardKey? = nil)
  {
    self.host = host
    self.port = port
    self.part = part
    self.key = key
  }

  /// Refuses what can't be a peer of an overlay beside these.
  public func validate(
    for terms: OverlayTerms, beside others: [OverlayPeer]
  ) throws(SliceError) {
    guard terms.subnet.contains(part) else {
      throw SliceError(
        .usage, "part \(part) is not in the subnet \(terms.subnet) of overlay \(terms.name)")
    }
    guard !part.overlaps(terms.part) else {
      throw SliceError(
        .failed, "part \(part) overlaps \(terms.part), which this node gives to its own slices",
        hint: "each node needs a part of its own: see --part of 'slicectl overlay create'")
    }
    if let key, let other = others.first(where: { $0.key == key }) {
      throw SliceError(
        .failed, "peer \(other.host) has this key: a node has one of its own",
        hint: "on each node 'slicectl overlay inspect \(terms.name)' shows its key")
    }
    for other in others {
      guard !part.overlaps(other.part) else {
        throw SliceError(.failed, "part \(part) overlaps \(other.part) of peer \(other.host)")
      }
    }
    switch (terms.isEncrypted, key) {
    case (true, nil):
      throw SliceError(
        .usage, "overlay \(terms.name) is encrypted, so a peer needs a key",
        hint: "give --key; on the peer 'slicectl overlay inspect \(terms.name)' shows it")
    case (false, .some):
      throw SliceError(.usage, "overlay \(terms.name) is not encrypted, so a peer has no key")
    case (true, .some), (false, nil): break
    }
    if port != nil, !terms.isEncrypted {
      throw SliceError(
        .usage, "nodes carry an overlay that is not encrypted by UDP port 4789 alone",
        hint: "leave --port out")
    }
  }
}

/// An address of a node, of either family.
public enum PeerAddress: Sendable, Hashable {
  case ipv4(IPv4Address)
  case ipv6(IPv6Address)

  /// Nil for what is none, and for those that mean no node: unspecified, loopback, multicast.
  public init?(_ text: String) {
    if let four = IPv4Address(text) {
      let first = four.value >> 24
      guard first != 0, first != 127, first < 224 else { return nil }
      self = .ipv4(four)
    } else if let six = IPv6Address(text) {
      guard six.high >> 56 != 0xFF, six.high >> 54 != 0x3FA, six.high != 0 || six.low > 1 else {
        return nil
      }
      self = .ipv6(six)
    } else {
      return nil
    }
  }
}

extension PeerAddress: CustomStringConvertible {
  public var description: String {
    switch self {
    case .ipv4(let address): address.description
    case .ipv6(let address): address.description
    }
  }
}

/// A key of WireGuard's (Curve25519), public or private.
public struct WireGuardKey: Sendable, Hashable {
  public static let length = 32
  public let bytes: [UInt8]

  public init?(bytes: [UInt8]) {
    guard bytes.count == Self.length else { return nil }
    self.bytes = bytes
  }

  private static let digits = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  /// 43 digits of base64 (RFC 4648) and `=`, as wg(8) writes it.
  public init?(_ text: String) {
    let characters = Array(text.utf8)
    guard characters.count == 44, characters.last == UInt8(ascii: "=") else { return nil }
    var bytes: [UInt8] = []
    var (bits, count) = (UInt32(0), 0)
    for character in characters.dropLast() {
      guard let digit = Self.digits.firstIndex(of: character) else { return nil }
      bits = bits << 6 | UInt32(digit)
      count += 6
      guard count >= 8 else { continue }
      count -= 8
      bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
    }
    // The last digit has two bits that mean nothing.
    guard bits & 0b11 == 0 else { return nil }
    self.bytes = bytes
  }

  /// A private key of these random bytes, clamped as X25519 wants it (RFC 7748, section 5).
  public init?(random bytes: [UInt8]) {
    guard bytes.count == Self.length else { return nil }
    var clamped = bytes
    clamped[0] &= 0b1111_1000
    clamped[31] = clamped[31] & 0b0111_1111 | 0b0100_0000
    self.bytes = clamped
  }
}

extension WireGuardKey: CustomStringConvertible {
  public var description: String {
    var text: [UInt8] = []
    var (bits, count) = (UInt32(0), 0)
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        text.append(Self.digits[Int(bits >> UInt32(count) & 63)])
      }
    }
    text.append(Self.digits[Int(bits << UInt32(6 - count) & 63)])
    return String(decoding: text, as: UTF8.self) + "="
  }
}
