/// Writes a JSON object member by member, for documents of which so many are made that building a
/// `JSONValue` first would be most of the work. Names must be plain: they are not escaped.
public struct JSONObjectWriter {
  /// The text so far: complete after `object`.
  public private(set) var utf8: [UInt8] = []

  private init() {}

  /// The text of an object with the members that `body` writes.
  public static func object(_ body: (inout JSONObjectWriter) -> Void) -> [UInt8] {
    var writer = JSONObjectWriter()
    writer.utf8.reserveCapacity(1024)
    writer.enclose("{", "}", body)
    return writer.utf8
  }

  public mutating func object(_ name: StaticString, _ body: (inout JSONObjectWriter) -> Void) {
    start(name)
    enclose("{", "}", body)
  }

  /// - Parameter write: writes the members of one element.
  public mutating func array<Element>(
    _ name: StaticString, _ elements: [Element], _ write: (Element, inout JSONObjectWriter) -> Void
  ) {
    start(name)
    enclose("[", "]") { writer in
      for element in elements {
        writer.separate()
        writer.enclose("{", "}") { write(element, &$0) }
      }
    }
  }

  public mutating func member(_ name: StaticString, _ value: UInt64?) {
    start(name)
    append(value.map(\.description) ?? "null")
  }

  public mutating func member(_ name: StaticString, _ value: Int) {
    start(name)
    append(value.description)
  }

  /// JSON has no words for infinity and not-a-number: null.
  public mutating func member(_ name: StaticString, _ value: Double?) {
    start(name)
    append(value.flatMap { $0.isFinite ? $0.description : nil } ?? "null")
  }

  public mutating func member(_ name: StaticString, _ value: String?) {
    start(name)
    utf8.append(contentsOf: JSONValue(value).utf8())
  }

  // MARK: - Parts

  private mutating func enclose(
    _ opening: Unicode.Scalar, _ closing: Unicode.Scalar, _ body: (inout JSONObjectWriter) -> Void
  ) {
    utf8.append(UInt8(ascii: opening))
    body(&self)
    utf8.append(UInt8(ascii: closing))
  }

  private mutating func start(_ name: StaticString) {
    separate()
    utf8.append(UInt8(ascii: "\""))
    utf8.append(
      contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
    utf8.append(UInt8(ascii: "\""))
    utf8.append(UInt8(ascii: ":"))
  }

  /// A comma, unless what comes is the first of its object or array.
  private mutating func separate() {
    guard let last = utf8.last, last != UInt8(ascii: "{"), last != UInt8(ascii: "[") else { return }
    utf8.append(UInt8(ascii: ","))
  }

  private mutating func append(_ text: String) { utf8.append(contentsOf: text.utf8) }
}
