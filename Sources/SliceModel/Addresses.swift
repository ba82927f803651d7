/// An IPv4 address.
public struct IPv4Address: Sendable, Hashable, Comparable {
  public var value: UInt32
  public init(value: UInt32) { self.value = value }

  /// Four decimal numbers. None has a leading zero, which inet_aton(3) reads as octal.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard part.utf8.count == 1 || part.utf8.first != UInt8(ascii: "0"),
        let number = decimal(part), let byte = UInt8(exactly: number)
      else { return nil }
      value = value << 8 | UInt32(byte)
    }
    self.value = value
  }

  /// In network byte order.
  public var bytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }
  public static func < (left: IPv4Address, right: IPv4Address) -> Bool { left.value < right.value }
}

extension IPv4Address: CustomStringConvertible {
  public var description: String { bytes.map { "\($0)" }.joined(separator: ".") }
}

/// An IPv6 address.
public struct IPv6Address: Sendable, Hashable {
  public var high: UInt64
  public var low: UInt64
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The forms of RFC 4291, section 2.2, without the embedded IPv4 form and without a zone.
  public init?(_ text: String) {
    func groups(_ part: Substring) -> [UInt16]? {
      if part.isEmpty { return [] }
      let texts = part.split(separator: ":", omittingEmptySubsequences: false)
      // The initialiser takes a sign too.
      let values = texts.compactMap { text in
        text.utf8.count <= 4 && text.allSatisfy(\.isHexDigit) ? UInt16(text, radix: 16) : nil
      }
      return values.count == texts.count ? values : nil
    }
    var halves: [Substring] = [text[...]]
    if let gap = text.firstRange(of: "::") {
      halves = [text[..<gap.lowerBound], text[gap.upperBound...]]
    }
    guard let front = groups(halves[0]), let back = halves.count == 2 ? groups(halves[1]) : [],
      halves.count == 2 ? front.count + back.count < 8 : front.count == 8
    else { return nil }
    let all = front + Array(repeating: 0, count: 8 - front.count - back.count) + back
    high = all[0..<4].reduce(0) { $0 << 16 | UInt64($1) }
    low = all[4..<8].reduce(0) { $0 << 16 | UInt64($1) }
  }

  /// In network byte order.
  public var bytes: [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: high >> (56 - 8 * $0)) }
      + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
  }
}

extension IPv6Address: CustomStringConvertible {
  /// The canonical form of RFC 5952: lower case, the longest run of zero groups shortened.
  public var description: String {
    let groups =
      (0..<4).map { UInt16(truncatingIfNeeded: high >> (48 - 16 * $0)) }
      + (0..<4).map { UInt16(truncatingIfNeeded: low >> (48 - 16 * $0)) }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > best.count { best = start..<end }
      start = max(end, start + 1)
    }
    func text(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard best.count >= 2 else { return text(groups[...]) }
    return text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
  }
}

/// The addresses that slices get, one each, numbered from 0: network, and gateway excluded.
public struct AddressPool4: Sendable, Hashable {
  public let network: IPv4Address
  /// Bits of the network part, 8 to 30.
  public let prefixLength: Int

  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let network = IPv4Address(String(parts[0])),
      let length = decimal(parts[1]),
      (8...30).contains(length), network.value & (UInt32.max >> UInt32(length)) == 0
    else { return nil }
    self.network = network
    prefixLength = length
  }

  /// How many slices it serves: all but the first two (network, node) and the last (broadcast).
  public var capacity: Int { (1 << (32 - prefixLength)) - 3 }

  /// The node's own address towards its slices.
  public var gateway: IPv4Address { IPv4Address(value: network.value + 1) }

  /// Address of slice number `index`, 0 up to `capacity`.
  public func address(_ index: Int) -> IPv4Address {
    IPv4Address(value: network.value + 2 + UInt32(index))
  }
}

extension AddressPool4: CustomStringConvertible {
  public var description: String { "\(network)/\(prefixLength)" }
}

/// The IPv6 counterpart of `AddressPool4`; the slice's number is the low part of its address.
public struct AddressPool6: Sendable, Hashable {
  public let network: IPv6Address
  /// Bits of the network part, 16 to 96.
  public let prefixLength: Int

  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let network = IPv6Address(String(parts[0])),
      let length = decimal(parts[1]),
      (16...96).contains(length)
    else { return nil }
    let hostHigh = length >= 64 ? 0 : UInt64.max >> UInt64(length)
    let hostLow = length <= 64 ? UInt64.max : UInt64.max >> UInt64(length - 64)
    guard network.high & hostHigh == 0, network.low & hostLow == 0 else { return nil }
    self.network = network
    prefixLength = length
  }

  /// The node's own address towards its slices.
  public var gateway: IPv6Address { IPv6Address(high: network.high, low: network.low + 1) }

  /// Address of slice number `index`; the pool has room for every IPv4 index.
  public func address(_ index: Int) -> IPv6Address {
    IPv6Address(high: network.high, low: network.low + 2 + UInt64(index))
  }
}

extension AddressPool6: CustomStringConvertible {
  public var description: String { "\(network)/\(prefixLength)" }
}
