import SliceModel

/// The table of `shares` and `top`: slices, what lies inside them, and all together.
public struct ShareTable: Sendable {
  /// Which figures are shown.
  public enum Kind: Sendable {
    /// What there was in all.
    case totals
    /// What goes on now.
    case rates
  }

  /// A line of the table.
  struct Row {
    var name: String
    /// Null: a line that tells something else.
    var figures: JSONValue
  }

  private let kind: Kind
  private let rows: [Row]

  /// - Parameters:
  ///   - slices: in their order; with `children` these are shown below each.
  ///   - total: the node, shown below all; null for none.
  public init(_ kind: Kind, slices: [JSONValue], total: JSONValue = .null) {
    self.kind = kind
    var rows: [Row] = []
    for slice in slices { Self.add(slice, to: &rows) }
    // No slice can have this name.
    if total != .null { rows.append(Row(name: "TOTAL", figures: Self.asRow(total))) }
    self.rows = rows
  }

  /// Titles first.
  /// - Parameter width: cells of the terminal; nil for all columns.
  public func lines(width: Int?) -> [String] {
    let columns = kind == .totals ? ShareColumn.totals : ShareColumn.rates
    return FittedTable(
      columns: columns.map(\.column), rows: rows.map { row in columns.map { $0.text(row) } }
    ).lines(width: width)
  }

  // MARK: - Rows

  private static func add(_ slice: JSONValue, to rows: inout [Row]) {
    rows.append(Row(name: slice["name"].string?.escapedForTerminal ?? "-", figures: slice))
    let more = slice["moreChildren"].integer ?? 0
    add(slice["children"].array ?? [], below: "", more: more, to: &rows)
  }

  private static func add(
    _ children: [JSONValue], below indentation: String, more: Int64, to rows: inout [Row]
  ) {
    for (index, child) in children.enumerated() {
      let isLast = index == children.count - 1 && more == 0
      let name = child["name"].string?.escapedToASCII ?? "-"
      rows.append(Row(name: indentation + (isLast ? "└ " : "├ ") + name, figures: child))
      add(
        child["children"].array ?? [], below: indentation + (isLast ? "  " : "│ "), more: 0,
        to: &rows)
    }
    if more > 0 { rows.append(Row(name: indentation + "└ … \(more) more", figures: .null)) }
  }

  /// The node as if it were a slice: what there is is its ceiling where it has no lower one.
  private static func asRow(_ node: JSONValue) -> JSONValue {
    guard case .object(var members) = node, case .object(var cpu) = node["cpu"],
      case .object(var memory) = node["memory"]
    else { return node }
    if node["cpu"]["maxCores"] == .null { cpu["maxCores"] = node["cpu"]["processors"] }
    if node["memory"]["maxBytes"] == .null { memory["maxBytes"] = node["memory"]["totalBytes"] }
    members["cpu"] = .object(cpu)
    members["memory"] = .object(memory)
    return .object(members)
  }
}

extension String {
  /// Also without characters that terminals give two cells or none: a slice chooses the names of its
  /// cgroups.
  var escapedToASCII: String {
    unicodeScalars.reduce(into: "") { result, scalar in
      if (0x20..<0x7F).contains(scalar.value) {
        result.unicodeScalars.append(scalar)
      } else {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      }
    }
  }
}
