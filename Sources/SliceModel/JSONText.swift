extension JSONValue {
  /// The value as JSON text (RFC 8259), keys sorted: on one line, or indented for people.
  public func text(pretty: Bool) -> String {
    String(decoding: utf8(pretty: pretty), as: UTF8.self)
  }

  /// The same as bytes.
  /// - Parameter sorted: false leaves the keys as they come, which is faster.
  public func utf8(pretty: Bool = false, sorted: Bool = true) -> [UInt8] {
    var writer = JSONWriter(isSorted: sorted)
    writer.write(self, indentation: pretty ? 0 : nil)
    return writer.bytes
  }
}

private struct JSONWriter {
  var bytes: [UInt8] = []
  let isSorted: Bool

  init(isSorted: Bool) { self.isSorted = isSorted }

  /// - Parameter indentation: depth of the value, nil for everything on one line.
  mutating func write(_ value: JSONValue, indentation: Int?) {
    let inner = indentation.map { $0 + 1 }
    switch value {
    case .null: write("null")
    case .bool(let value): write(value ? "true" : "false")
    case .integer(let value): write(value.description)
    // JSON has no words for infinity and not-a-number.
    case .number(let value): write(value.isFinite ? value.description : "null")
    case .string(let value): write(string: value)
    case .array(let values):
      write("[")
      for (index, value) in values.enumerated() {
        startItem(index, inner)
        write(value, indentation: inner)
      }
      end("]", isEmpty: values.isEmpty, indentation)
    case .object(let members):
      write("{")
      if isSorted {
        write(members: members.sorted { $0.key < $1.key }, inner)
      } else {
        write(members: members, inner)
      }
      end("}", isEmpty: members.isEmpty, indentation)
    }
  }

  private mutating func write(
    members: some Sequence<(key: String, value: JSONValue)>, _ indentation: Int?
  ) {
    for (index, member) in members.enumerated() {
      startItem(index, indentation)
      write(string: member.key)
      write(indentation == nil ? ":" : ": ")
      write(member.value, indentation: indentation)
    }
  }

  private mutating func startItem(_ index: Int, _ indentation: Int?) {
    if index > 0 { write(",") }
    startLine(indentation)
  }

  private mutating func end(_ closing: String, isEmpty: Bool, _ indentation: Int?) {
    if !isEmpty { startLine(indentation) }
    write(closing)
  }

  private mutating func startLine(_ indentation: Int?) {
    guard let indentation else { return }
    write("\n" + String(repeating: "  ", count: indentation))
  }

  private mutating func write(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func write(string: String) {
    bytes.append(UInt8(ascii: "\""))
    let isPlain = string.utf8.allSatisfy {
      (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
    }
    if isPlain { write(string) } else { write(escaping: string) }
    bytes.append(UInt8(ascii: "\""))
  }

  private mutating func write(escaping string: String) {
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": write("\\\"")
      case "\\": write("\\\\")
      case "\n": write("\\n")
      case "\t": write("\\t")
      // C1 controls and direction marks need no escape in JSON, but they would drive the
      // terminal of who reads the text.
      case _ where String(scalar).escapedForTerminal.unicodeScalars.first != scalar:
        for unit in scalar.utf16 {
          let digits = String(unit, radix: 16)
          write("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
        }
      default: write(String(scalar))
      }
    }
  }
}
