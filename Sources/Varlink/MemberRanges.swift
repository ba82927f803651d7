/// Where the members of an object lie in its JSON text, found without decoding them: one pass over
/// the bytes. Knows brackets and strings alone; what is in between is for whoever decodes it.
struct MemberRanges {
  private var ranges: [String: Range<Int>] = [:]

  subscript(name: String) -> Range<Int>? { ranges[name] }

  /// Nil for what is no object, and for one with an escape in a name: a decoder could read that
  /// name as another than is seen here.
  init?(_ text: [UInt8]) {
    var scan = Scan(text: text)
    guard scan.take(UInt8(ascii: "{")) else { return nil }
    if scan.take(UInt8(ascii: "}")) { return }
    repeat {
      guard let name = scan.name(), scan.take(UInt8(ascii: ":")), let value = scan.value() else {
        return nil
      }
      ranges[name] = value
    } while scan.take(UInt8(ascii: ","))
    guard scan.take(UInt8(ascii: "}")), scan.isAtEnd else { return nil }
  }

  private struct Scan {
    let text: [UInt8]
    var position = 0

    var isAtEnd: Bool { text[position...].allSatisfy(Self.isSpace) }

    static func isSpace(_ byte: UInt8) -> Bool {
      byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    mutating func take(_ byte: UInt8) -> Bool {
      while position < text.count, Self.isSpace(text[position]) { position += 1 }
      guard position < text.count, text[position] == byte else { return false }
      position += 1
      return true
    }

    mutating func name() -> String? {
      guard take(UInt8(ascii: "\"")) else { return nil }
      let start = position
      guard skipString() else { return nil }
      let name = text[start..<(position - 1)]
      return name.contains(UInt8(ascii: "\\")) ? nil : String(decoding: name, as: UTF8.self)
    }

    /// Up to the comma or bracket behind it.
    mutating func value() -> Range<Int>? {
      let start = position
      var depth = 0
      while position < text.count {
        switch text[position] {
        case UInt8(ascii: "\""):
          position += 1
          guard skipString() else { return nil }
          continue
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
          if depth == 0 { return start..<position }
          depth -= 1
        case UInt8(ascii: ",") where depth == 0: return start..<position
        default: break
        }
        position += 1
      }
      return nil
    }

    /// From behind the opening quote to behind the closing one.
    private mutating func skipString() -> Bool {
      while position < text.count {
        let byte = text[position]
        position += byte == UInt8(ascii: "\\") ? 2 : 1
        if byte == UInt8(ascii: "\"") { return true }
      }
      return false
    }
  }
}
