import CToml
import SliceModel

/// A place in a configuration file, printed the way compilers do: `slice.toml:3:7`.
struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
  var file: String
  /// From 1; the column counts Unicode code points.
  var line: UInt32
  var column: UInt32

  var description: String { "\(file.escapedForTerminal):\(line):\(column)" }

  func error(_ message: String, hint: String? = nil) -> SliceError {
    SliceError(.usage, "\(self): \(message)", hint: hint)
  }
}

/// A value of a TOML text and where it is written.
struct TOMLValue {
  enum Content {
    case string(String)
    case integer(Int64)
    case number(Double)
    case boolean(Bool)
    /// Nothing here is a date; which one it is does not matter.
    case dateTime
    case array([TOMLValue])
    case table([TOMLMember])
  }

  var content: Content
  var location: SourceLocation
  /// The keys that lead here, joined by dots; an array's elements have the path of the array.
  var path: String
}

struct TOMLMember {
  var name: String
  /// Of the key.
  var location: SourceLocation
  var value: TOMLValue
}

extension TOMLValue {
  /// The largest text accepted; a person's file is a thousandth of it.
  static let maximumBytes = 1 << 20

  /// Parses a whole text; the result is a table.
  init(parsing bytes: [UInt8], fileName: String) throws(SliceError) {
    guard bytes.count <= Self.maximumBytes else {
      throw SliceError(
        .usage, "\(fileName.escapedForTerminal) has \(bytes.count) bytes",
        hint: "a configuration file has at most \(Self.maximumBytes) bytes")
    }
    let document = bytes.withUnsafeBytes {
      ctoml_parse($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
    }
    defer { ctoml_free(document) }
    var count = 0
    guard let nodes = ctoml_nodes(document, &count) else {
      var position = ctoml_position()
      let reason = String(ctoml_error(document, &position))
      throw SourceLocation(position, in: fileName).error(syntaxError(reason))
    }
    var reader = NodeReader(nodes: UnsafeBufferPointer(start: nodes, count: count), file: fileName)
    self = reader.next(path: "")
  }
}

/// Rebuilds the tree from CToml's preorder list.
private struct NodeReader {
  let nodes: UnsafeBufferPointer<ctoml_node>
  let file: String
  var index = 0

  mutating func next(path: String) -> TOMLValue {
    let node = nodes[index]
    index += 1
    let content: TOMLValue.Content =
      switch node.kind {
      case CTOML_TABLE: .table((0..<node.children).map { _ in nextMember(of: path) })
      case CTOML_ARRAY: .array((0..<node.children).map { _ in next(path: path) })
      case CTOML_STRING: .string(String(node.text))
      case CTOML_INTEGER: .integer(node.integer)
      case CTOML_NUMBER: .number(node.number)
      case CTOML_BOOLEAN: .boolean(node.integer != 0)
      default: .dateTime
      }
    return TOMLValue(
      content: content, location: SourceLocation(node.position, in: file), path: path)
  }

  private mutating func nextMember(of parent: String) -> TOMLMember {
    let name = String(nodes[index].key)
    let location = SourceLocation(nodes[index].key_position, in: file)
    let value = next(path: parent.isEmpty ? name : "\(parent).\(name)")
    return TOMLMember(name: name, location: location, value: value)
  }
}

/// toml++'s words made part of a sentence.
private func syntaxError(_ reason: String) -> String {
  let prefix = "Error while parsing "
  let text = reason.escapedForTerminal
  return text.hasPrefix(prefix)
    ? "syntax error in \(text.dropFirst(prefix.count))" : "syntax error: \(text)"
}

extension SourceLocation {
  fileprivate init(_ position: ctoml_position, in file: String) {
    self.init(file: file, line: position.line, column: position.column)
  }
}

extension String {
  fileprivate init(_ text: ctoml_text) {
    self.init(
      decoding: UnsafeRawBufferPointer(start: text.bytes, count: text.length), as: UTF8.self)
  }

  /// Safe to print in a message, and short enough for one.
  var shownInMessage: String {
    let limit = 80
    return unicodeScalars.count <= limit
      ? escapedForTerminal : String(unicodeScalars.prefix(limit)).escapedForTerminal + "…"
  }
}
