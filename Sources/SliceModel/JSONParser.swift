/// Why a text is not JSON.
public struct JSONSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
  /// In bytes from the start.
  public let offset: Int
  public let reason: String

  public var description: String { "\(reason) at byte \(offset)" }
}

extension JSONValue {
  /// How many arrays and objects may lie within each other.
  public static let maximumDepth = 128

  /// Reads one JSON text (RFC 8259), in UTF-8 and without a byte order mark. Of members with the
  /// same name the last one counts; numbers that no Double holds are refused.
  ///
  /// For large documents: it takes a tenth of the time that decoding the same by `Codable` does,
  /// which has to try one type after another for each value.
  public init(parsing text: some Sequence<UInt8>) throws(JSONSyntaxError) {
    let bytes = ContiguousArray(text)
    let result = bytes.withUnsafeBufferPointer { buffer in
      Result { () throws(JSONSyntaxError) in
        var parser = JSONParser(text: buffer)
        return try parser.document()
      }
    }
    self = try result.get()
  }
}

/// A recursive descent, one function for each rule of the grammar.
private struct JSONParser {
  /// Lives as long as the call of `JSONValue.init(parsing:)`.
  let text: UnsafeBufferPointer<UInt8>
  private var position = 0
  private var depth = 0

  init(text: UnsafeBufferPointer<UInt8>) { self.text = text }

  mutating func document() throws(JSONSyntaxError) -> JSONValue {
    let value = try value()
    skipSpace()
    guard position == text.count else { throw error("something behind the value") }
    return value
  }

  // MARK: - Values

  private mutating func value() throws(JSONSyntaxError) -> JSONValue {
    skipSpace()
    guard let byte = peek else { throw error("no value") }
    switch byte {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    default: throw error("no value")
    }
  }

  /// Passes the bracket that opens an array or an object.
  private mutating func enter() throws(JSONSyntaxError) {
    depth += 1
    guard depth <= JSONValue.maximumDepth else { throw error("too deep") }
    position += 1
  }

  private mutating func object() throws(JSONSyntaxError) -> JSONValue {
    try enter()
    defer { depth -= 1 }
    var members: [String: JSONValue] = [:]
    members.reserveCapacity(8)
    skipSpace()
    if take(UInt8(ascii: "}")) { return .object(members) }
    while true {
      skipSpace()
      guard peek == UInt8(ascii: "\"") else { throw error("no member name") }
      let name = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw error("no ':'") }
      members[name] = try value()
      skipSpace()
      if take(UInt8(ascii: "}")) { return .object(members) }
      guard take(UInt8(ascii: ",")) else { throw error("neither ',' nor '}'") }
    }
  }

  private mutating func array() throws(JSONSyntaxError) -> JSONValue {
    try enter()
    defer { depth -= 1 }
    var values: [JSONValue] = []
    skipSpace()
    if take(UInt8(ascii: "]")) { return .array(values) }
    while true {
      values.append(try value())
      skipSpace()
      if take(UInt8(ascii: "]")) { return .array(values) }
      guard take(UInt8(ascii: ",")) else { throw error("neither ',' nor ']'") }
    }
  }

  private mutating func word(
    _ word: StaticString, _ value: JSONValue
  ) throws(JSONSyntaxError) -> JSONValue {
    let end = position + word.utf8CodeUnitCount
    guard end <= text.count,
      text[position..<end].elementsEqual(
        UnsafeBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    else { throw error("no value") }
    position = end
    return value
  }

  // MARK: - Numbers

  private mutating func number() throws(JSONSyntaxError) -> JSONValue {
    let start = position
    let isNegative = take(UInt8(ascii: "-"))
    let whole = digits()
    guard !whole.isEmpty, whole.count == 1 || text[whole.lowerBound] != UInt8(ascii: "0") else {
      throw error("no number")
    }
    var isWhole = true
    var fraction = position..<position
    if take(UInt8(ascii: ".")) {
      isWhole = false
      fraction = digits()
      if fraction.isEmpty { throw error("no digits behind the point") }
    }
    var hasExponent = false
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      (isWhole, hasExponent) = (false, true)
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      if digits().isEmpty { throw error("no digits in the exponent") }
    }
    let written = text[start..<position]
    if isWhole, let integer = Int64(String(decoding: written, as: UTF8.self)) {
      return .integer(integer)
    }
    if !hasExponent, whole.count + fraction.count <= 15 {
      let value = short(whole, fraction)
      return .number(isNegative ? -value : value)
    }
    guard let value = Double(String(decoding: written, as: UTF8.self)), value.isFinite else {
      throw error("a number out of range")
    }
    return .number(value)
  }

  /// Up to 15 digits: digits and power of ten are both exact, so that their quotient is the nearest
  /// Double. (That is what costs most otherwise.)
  private func short(_ whole: Range<Int>, _ fraction: Range<Int>) -> Double {
    var digits: Int64 = 0
    var power: Int64 = 1
    for index in whole { digits = digits * 10 + Int64(text[index] - UInt8(ascii: "0")) }
    for index in fraction {
      digits = digits * 10 + Int64(text[index] - UInt8(ascii: "0"))
      power *= 10
    }
    return Double(digits) / Double(power)
  }

  private mutating func digits() -> Range<Int> {
    let start = position
    while let byte = peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    return start..<position
  }

  // MARK: - Strings

  private mutating func string() throws(JSONSyntaxError) -> String {
    position += 1
    let start = position
    var escaped = ""
    var partStart = start
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        let part = try utf8(partStart..<position)
        position += 1
        return partStart == start ? part : escaped + part
      case UInt8(ascii: "\\"):
        escaped += try utf8(partStart..<position)
        escaped.unicodeScalars.append(try escape())
        partStart = position
      case 0..<0x20: throw error("a control character in a string")
      default: position += 1
      }
    }
    throw error("a string without end")
  }

  private func utf8(_ range: Range<Int>) throws(JSONSyntaxError) -> String {
    guard let text = String(validating: text[range], as: UTF8.self) else {
      throw error("a string that is not UTF-8")
    }
    return text
  }

  private mutating func escape() throws(JSONSyntaxError) -> Unicode.Scalar {
    position += 1
    guard let letter = peek else { throw error("a string without end") }
    position += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(letter)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return try unicodeEscape()
    default: throw error("an unknown escape")
    }
  }

  /// What follows `\u`: one unit of UTF-16, or two that are a pair (section 7).
  private mutating func unicodeEscape() throws(JSONSyntaxError) -> Unicode.Scalar {
    let first = try hexadecimal()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), take(UInt8(ascii: "u"))
    else {
      throw error("half of a surrogate pair")
    }
    let second = try hexadecimal()
    guard (0xDC00..<0xE000).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
    else { throw error("half of a surrogate pair") }
    return scalar
  }

  private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peek, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("no four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  // MARK: - Bytes

  private var peek: UInt8? { position < text.count ? text[position] : nil }

  private mutating func take(_ byte: UInt8) -> Bool {
    guard peek == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipSpace() {
    while let byte = peek, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  private func error(_ reason: String) -> JSONSyntaxError {
    JSONSyntaxError(offset: position, reason: reason)
  }
}
