/// What a message has to be before a decoder, which recurses and allocates, may see it.
struct MessageGuard {
  /// How many arrays and objects may lie within each other.
  let maximumDepth: Int
  /// How many values and member names a message may have in all; each costs the decoder memory.
  let maximumValues: Int

  /// One pass over the bytes, without allocation. Says nothing about the grammar.
  func check(_ bytes: [UInt8]) throws(ConnectionFailure) {
    // An object in UTF-8: a decoder that guesses other encodings from the first bytes finds none.
    guard bytes.first == UInt8(ascii: "{") else { throw .malformed("it does not begin with {") }
    guard isUTF8(bytes) else { throw .malformed("it is not UTF-8") }

    var depth = 0
    var values = 1
    var inString = false
    var isEscaped = false
    for byte in bytes {
      if inString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          inString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): inString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        values += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: ","), UInt8(ascii: ":"): values += 1
      default: break
      }
      if depth > maximumDepth { throw .malformed("it nests deeper than \(maximumDepth)") }
      if values > maximumValues { throw .malformed("it has more than \(maximumValues) values") }
    }
  }

  private func isUTF8(_ bytes: [UInt8]) -> Bool {
    (try? UTF8Span(validating: bytes.span)) != nil
  }
}
