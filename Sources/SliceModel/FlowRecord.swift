/// What one slice sent to one place outside in some seconds, as it left the node.
///
/// A line of the flow audit's files: fields between blanks, `-` for what is not known.
///
///     FIRST LAST SLICE NUMBER OWNERID OWNER ADDRESS PORT SOURCEPORT PROTOCOL PACKETS BYTES
public struct FlowRecord: Sendable, Hashable {
  /// Milliseconds since 1970, UTC, of the first and the last packet.
  public var first, last: UInt64
  public var sender: FlowSender
  /// Nil: it was counted by slice alone, because there were too many.
  public var address: FlowAddress?
  /// Nil: it was counted by address alone, because there were too many.
  public var ports: Ports?
  public var packets: UInt64
  /// With the headers of the link.
  public var bytes: UInt64

  public struct Ports: Sendable, Hashable {
    /// IANA's number.
    public var transport: UInt8
    /// Of an ICMP message its type; 0 where there is none, as in a later fragment.
    public var port: UInt16
    /// As it is outside, after address translation; of an ICMP echo its identifier.
    public var sourcePort: UInt16

    public init(transport: UInt8, port: UInt16, sourcePort: UInt16) {
      self.transport = transport
      self.port = port
      self.sourcePort = sourcePort
    }
  }

  public init(
    first: UInt64, last: UInt64, sender: FlowSender, address: FlowAddress?, ports: Ports?,
    packets: UInt64, bytes: UInt64
  ) {
    self.first = first
    self.last = last
    self.sender = sender
    self.address = address
    self.ports = ports
    self.packets = packets
    self.bytes = bytes
  }
}

/// The slice that sent something, as it was then.
public struct FlowSender: Sendable, Hashable {
  public var slice: String
  /// On its node; another slice may get it later.
  public var number: Int
  /// User id and name of its owner.
  public var owner: UInt32
  public var ownerName: String

  public init(slice: String, number: Int, owner: UInt32, ownerName: String) {
    self.slice = slice
    self.number = number
    self.owner = owner
    self.ownerName = ownerName
  }
}

/// Of either family: 16 bytes, IPv4 as `IPv4Address.mappedBytes`.
public struct FlowAddress: Sendable, Hashable {
  public var high, low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public init?(_ text: String) {
    if let four = IPv4Address(text) {
      self.init(high: 0, low: 0xFFFF << 32 | UInt64(four.value))
    } else if let six = IPv6Address(text) {
      self.init(high: six.high, low: six.low)
    } else {
      return nil
    }
  }

  /// Whether it lies in a network.
  public func isIn(_ network: AddressNetwork) -> Bool {
    guard isIPv4 == network.isIPv4 else { return false }
    let bytes = IPv6Address(high: high, low: low).bytes
    return (0..<network.mappedLength).allSatisfy { bit in
      (bytes[bit / 8] ^ network.bytes[bit / 8]) & (0x80 >> UInt8(bit % 8)) == 0
    }
  }

  var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
}

extension FlowAddress: CustomStringConvertible {
  public var description: String {
    isIPv4
      ? IPv4Address(value: UInt32(truncatingIfNeeded: low)).description
      : IPv6Address(high: high, low: low).description
  }
}

// MARK: - As a line

extension FlowRecord {
  /// Without the newline.
  public var line: String {
    let place = address.map(\.description) ?? "-"
    let ports = ports.map { "\($0.port) \($0.sourcePort) \($0.transport)" } ?? "- - -"
    return "\(first) \(last) \(sender.line) \(place) \(ports) \(packets) \(bytes)"
  }

  /// Nil for what is none, such as half a line.
  public init?(line: some Collection<UInt8>) {
    let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard fields.count == 12, let first = Self.number(fields[0]), let last = Self.number(fields[1]),
      let sender = FlowSender(fields: fields[2..<6]), let packets = Self.number(fields[10]),
      let bytes = Self.number(fields[11])
    else { return nil }
    self.init(
      first: first, last: last, sender: sender, address: nil, ports: nil, packets: packets,
      bytes: bytes)
    if !Self.isNothing(fields[6]) {
      guard let address = FlowAddress(String(decoding: fields[6], as: UTF8.self)) else {
        return nil
      }
      self.address = address
    }
    guard !Self.isNothing(fields[7]) else { return }
    guard let port = Self.number(fields[7]).flatMap({ UInt16(exactly: $0) }),
      let sourcePort = Self.number(fields[8]).flatMap({ UInt16(exactly: $0) }),
      let transport = Self.number(fields[9]).flatMap({ UInt8(exactly: $0) })
    else { return nil }
    ports = Ports(transport: transport, port: port, sourcePort: sourcePort)
  }

  private static func isNothing(_ field: some Collection<UInt8>) -> Bool {
    field.count == 1 && field.first == UInt8(ascii: "-")
  }

  fileprivate static func number(_ field: some Collection<UInt8>) -> UInt64? {
    guard !field.isEmpty else { return nil }
    var value: UInt64 = 0
    for byte in field {
      guard (0x30...0x39).contains(byte) else { return nil }
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = tens.addingReportingOverflow(UInt64(byte - 0x30))
      guard !overflow, !carry else { return nil }
      value = sum
    }
    return value
  }
}

extension FlowSender {
  /// Four fields.
  public var line: String {
    // Names of the host's users hold no blanks; one that does must not shift the fields.
    let name = ownerName.utf8.map { (0x21...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    return
      "\(slice) \(number) \(owner) \(name.isEmpty ? "?" : String(decoding: name, as: UTF8.self))"
  }

  public init?(fields: some Collection<some Collection<UInt8>>) {
    let texts = Array(fields)
    guard texts.count == 4, !texts[0].isEmpty,
      let number = FlowRecord.number(texts[1]).flatMap({ Int(exactly: $0) }),
      let owner = FlowRecord.number(texts[2]).flatMap({ UInt32(exactly: $0) })
    else { return nil }
    self.init(
      slice: String(decoding: texts[0], as: UTF8.self), number: number, owner: owner,
      ownerName: String(decoding: texts[3], as: UTF8.self))
  }
}

// MARK: - Which ones

/// Which records somebody wants to see; what is nil doesn't matter.
public struct FlowFilter: Sendable, Hashable {
  /// Milliseconds since 1970: those that were going on then.
  public var since, until: UInt64?
  public var network: AddressNetwork?
  /// Of either end.
  public var port: UInt16?
  public var slice: String?
  public var transport: UInt8?
  /// User id.
  public var owner: UInt32?

  public init() {}

  /// Whether a record is about this, as far as it tells.
  public enum Match: Sendable, Hashable {
    case yes
    case no
    /// It was counted without what is asked for.
    case unknown
  }

  public func match(_ record: FlowRecord) -> Match {
    if let since, record.last < since { return .no }
    if let until, record.first > until { return .no }
    if let slice, record.sender.slice != slice { return .no }
    if let owner, record.sender.owner != owner { return .no }
    if let network {
      guard let address = record.address else { return .unknown }
      guard address.isIn(network) else { return .no }
    }
    guard port != nil || transport != nil else { return .yes }
    guard let ports = record.ports else { return .unknown }
    if let transport, ports.transport != transport { return .no }
    if let port, ports.port != port, ports.sourcePort != port { return .no }
    return .yes
  }
}

/// What is kept of the flow audit.
public struct FlowTerms: Sendable, Hashable {
  /// 0: nothing is kept.
  public var days: UInt64 = 30
  public var bytes: UInt64 = 512 << 20
  public init() {}
}
