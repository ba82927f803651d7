import SliceModel

/// A document of any shape: one line a value, by its path in the document.
struct DocumentReport: Report {
  let json: JSONValue

  func text(_ screen: Screen) -> [String] {
    let lines = Self.lines(json, path: "")
    let width = lines.reduce(0) { max($0, $1.path.count) }
    return lines.map { line in
      let padding = String(repeating: " ", count: width - line.path.count)
      return line.path + padding + "  " + line.value
    }
  }

  private static func lines(_ value: JSONValue, path: String) -> [(path: String, value: String)] {
    switch value {
    case .null: return []
    case .bool(let flag): return [(path, flag ? "yes" : "no")]
    case .integer(let number): return [(path, "\(number)")]
    case .number(let number): return [(path, "\(number)")]
    case .string(let text): return [(path, text.escapedForTerminal)]
    case .array(let values):
      let items = values.map { lines($0, path: "") }
      // Plain values fit on one line; documents within get numbered paths.
      if items.allSatisfy({ $0.count == 1 && $0[0].path.isEmpty }) {
        let text = items.map { $0[0].value }.joined(separator: " ")
        return text.isEmpty ? [] : [(path, text)]
      }
      return values.enumerated().flatMap { lines($1, path: "\(path)[\($0)]") }
    case .object(let members):
      return members.sorted { $0.key < $1.key }.flatMap { member in
        let key = member.key.escapedForTerminal
        return lines(member.value, path: path.isEmpty ? key : "\(path).\(key)")
      }
    }
  }
}
