import SliceModel

/// What slice-capture writes, block by block, as it comes.
///
/// It comes from inside a slice, so nothing of it is believed: what doesn't fit ends the reading.
public struct PcapngReader {
  public struct Packet: Sendable {
    /// Nanoseconds since 1970.
    public var time: UInt64
    /// Else it came.
    public var isOutgoing: Bool
    public var bytes: ArraySlice<UInt8>
    /// Of the packet, of which `bytes` may be a part.
    public var length: UInt32
  }

  public struct Counts: Sendable, Hashable {
    public var received: UInt64
    /// Of these, by the kernel, because they weren't read in time.
    public var dropped: UInt64
  }

  public enum Block {
    case packet(Packet)
    case counts(Counts)
    case other
  }

  /// Far above what a packet of 64 KiB comes to.
  private static let longestBlock = 1 << 20
  private var waiting: [UInt8] = []

  public init() {}

  public mutating func append(_ bytes: ArraySlice<UInt8>) { waiting += bytes }

  /// The blocks that are whole, each with its own bytes.
  public mutating func takeBlocks() throws(SliceError) -> [(block: Block, bytes: ArraySlice<UInt8>)]
  {
    var blocks: [(Block, ArraySlice<UInt8>)] = []
    var rest = waiting[...]
    while rest.count >= 12 {
      let length = Int(Self.word(rest, 4))
      guard (12...Self.longestBlock).contains(length), length % 4 == 0 else { throw Self.damaged }
      guard rest.count >= length else { break }
      let bytes = rest.prefix(length)
      guard Self.word(bytes, length - 4) == UInt32(length) else { throw Self.damaged }
      blocks.append((try Self.block(bytes), bytes))
      rest = rest.dropFirst(length)
    }
    waiting = Array(rest)
    return blocks
  }

  private static var damaged: SliceError {
    SliceError(.failed, "what came from the slice is not pcapng")
  }

  private static func word(_ bytes: ArraySlice<UInt8>, _ offset: Int) -> UInt32 {
    let start = bytes.startIndex + offset
    return (0..<4).reduce(0) { $0 | UInt32(bytes[start + $1]) << UInt32(8 * $1) }
  }

  private static func block(_ bytes: ArraySlice<UInt8>) throws(SliceError) -> Block {
    switch word(bytes, 0) {
    case 6:
      guard bytes.count >= 32 else { throw damaged }
      let captured = Int(word(bytes, 20))
      guard captured <= bytes.count - 32 else { throw damaged }
      let start = bytes.startIndex + 28
      let flags = option(2, in: bytes, from: 28 + (captured + 3) / 4 * 4)?.first ?? 0
      return .packet(
        Packet(
          time: UInt64(word(bytes, 12)) << 32 | UInt64(word(bytes, 16)),
          isOutgoing: flags & 3 == 2, bytes: bytes[start..<start + captured],
          length: word(bytes, 24)))
    case 5:
      func count(_ code: UInt32) -> UInt64 {
        (option(code, in: bytes, from: 20) ?? []).prefix(8).reversed().reduce(0) {
          $0 << 8 | UInt64($1)
        }
      }
      return .counts(Counts(received: count(4), dropped: count(5)))
    default: return .other
    }
  }

  /// The value of an option; nil: there is none.
  private static func option(
    _ wanted: UInt32, in bytes: ArraySlice<UInt8>, from offset: Int
  ) -> ArraySlice<UInt8>? {
    var offset = offset
    // Before the length that ends the block.
    let end = bytes.count - 4
    while offset + 4 <= end {
      let head = word(bytes, offset)
      let (code, size) = (head & 0xFFFF, Int(head >> 16))
      guard code != 0, offset + 4 + size <= end else { return nil }
      let start = bytes.startIndex + offset + 4
      if code == wanted { return bytes[start..<start + size] }
      offset += 4 + (size + 3) / 4 * 4
    }
    return nil
  }
}
