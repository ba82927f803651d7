import SliceModel

/// A packet in words, one line: when, which way, from whom to whom, what, how long.
///
/// Made of numbers alone, so that no packet can write to the reader's terminal.
public enum PacketLine {
  public static func text(of packet: PcapngReader.Packet) -> String {
    let seconds = packet.time / 1_000_000_000 % 86_400
    func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    let fraction = "\(1_000_000 + packet.time / 1000 % 1_000_000)".dropFirst()
    let time =
      "\(two(seconds / 3600)):\(two(seconds / 60 % 60)):\(two(seconds % 60)).\(fraction)"
    return
      "\(time) \(packet.isOutgoing ? "out" : "in ") \(content(Bytes(packet.bytes))), length \(packet.length)"
  }

  /// Bytes of which any may be missing.
  private struct Bytes {
    private let bytes: ArraySlice<UInt8>
    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    func byte(_ offset: Int) -> UInt8? {
      offset < bytes.count ? bytes[bytes.startIndex + offset] : nil
    }
    func half(_ offset: Int) -> UInt16? {
      guard let high = byte(offset), let low = byte(offset + 1) else { return nil }
      return UInt16(high) << 8 | UInt16(low)
    }
    func range(_ offset: Int, _ count: Int) -> [UInt8]? {
      offset + count <= bytes.count
        ? Array(bytes[bytes.startIndex + offset..<bytes.startIndex + offset + count]) : nil
    }
  }

  private static func content(_ bytes: Bytes) -> String {
    switch bytes.half(12) {
    case 0x0800: ipv4(bytes) ?? "IPv4, cut off"
    case 0x86DD: ipv6(bytes) ?? "IPv6, cut off"
    case 0x0806: "ARP"
    case let type?: "Ethernet type 0x\(String(type, radix: 16))"
    case nil: "cut off"
    }
  }

  private static func ipv4(_ bytes: Bytes) -> String? {
    guard let first = bytes.byte(14), let fragment = bytes.half(20), let kind = bytes.byte(23),
      let source = bytes.range(26, 4), let destination = bytes.range(30, 4)
    else { return nil }
    func address(_ bytes: [UInt8]) -> String {
      IPv4Address(value: bytes.reduce(0) { $0 << 8 | UInt32($1) }).description
    }
    let offset = 14 + 4 * Int(first & 0xF)
    return flow(
      address(source), address(destination), kind, bytes,
      transport: fragment & 0x1FFF == 0 ? offset : nil)
  }

  private static func ipv6(_ bytes: Bytes) -> String? {
    guard let kind = bytes.byte(20), let source = bytes.range(22, 16),
      let destination = bytes.range(38, 16)
    else { return nil }
    func address(_ bytes: [UInt8]) -> String {
      func half(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
      return IPv6Address(high: half(bytes[..<8]), low: half(bytes[8...])).description
    }
    return flow(address(source), address(destination), kind, bytes, transport: 54)
  }

  /// - Parameter offset: of the transport header; nil: a later fragment has none.
  private static func flow(
    _ source: String, _ destination: String, _ kind: UInt8, _ bytes: Bytes, transport offset: Int?
  ) -> String {
    func ends(_ name: String, _ detail: String) -> String {
      guard let offset, let from = bytes.half(offset), let to = bytes.half(offset + 2) else {
        return "\(source) > \(destination): \(name)"
      }
      return "\(source).\(from) > \(destination).\(to): \(name)\(detail)"
    }
    switch kind {
    case 6: return ends("TCP", offset.flatMap { bytes.byte($0 + 13) }.map(flags) ?? "")
    case 17: return ends("UDP", "")
    case 1, 58:
      let type = offset.flatMap(bytes.byte).map { " type \($0)" } ?? ""
      return "\(source) > \(destination): ICMP\(kind == 58 ? "v6" : "")\(type)"
    default: return "\(source) > \(destination): protocol \(kind)"
    }
  }

  private static func flags(_ byte: UInt8) -> String {
    let set = zip("FSRPAU", 0...).filter { byte & (1 << UInt8($0.1)) != 0 }.map { String($0.0) }
    return set.isEmpty ? "" : " [" + set.joined() + "]"
  }
}
