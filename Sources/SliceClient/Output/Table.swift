/// Aligned columns for people, as wide as the terminal allows.
public struct Table: Sendable {
  public struct Column: Sendable {
    public enum Alignment: Sendable { case left, right }
    let title: String
    let alignment: Alignment
    /// Whether its texts may be cut where the terminal is too narrow.
    let isFree: Bool

    public init(_ title: String, _ alignment: Alignment = .left, isFree: Bool = false) {
      self.title = title
      self.alignment = alignment
      self.isFree = isFree
    }
  }

  private let columns: [Column]
  private let rows: [[String]]

  /// Free columns are not cut below this.
  private static let narrowest = 8
  private static let gap = "  "

  /// - Parameter rows: each has one text a column; control characters must be escaped already.
  public init(columns: [Column], rows: [[String]]) {
    precondition(rows.allSatisfy { $0.count == columns.count }, "a row with holes")
    self.columns = columns
    self.rows = rows
  }

  /// The lines, title first, without trailing blanks.
  /// - Parameter width: character cells of the terminal; nil where the lines may be of any length.
  public func lines(width: Int?) -> [String] {
    let widths = columnWidths(width: width)
    return ([columns.map(\.title)] + rows).map { line($0, widths) }
  }

  private func columnWidths(width: Int?) -> [Int] {
    var widths = columns.indices.map { column in
      rows.reduce(columns[column].title.count) { max($0, $1[column].count) }
    }
    guard let width else { return widths }
    var excess = widths.reduce(0, +) + Self.gap.count * (widths.count - 1) - width
    while excess > 0 {
      let free = columns.indices.filter { columns[$0].isFree && widths[$0] > Self.narrowest }
      guard let widest = free.max(by: { widths[$0] < widths[$1] }) else { break }
      widths[widest] -= 1
      excess -= 1
    }
    return widths
  }

  private func line(_ cells: [String], _ widths: [Int]) -> String {
    var line = ""
    for (index, cell) in cells.enumerated() {
      let text =
        cell.count > widths[index] ? String(cell.prefix(widths[index] - 1)) + "…" : cell
      let padding = String(repeating: " ", count: widths[index] - text.count)
      switch columns[index].alignment {
      case .left: line += text + padding
      case .right: line += padding + text
      }
      line += Self.gap
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}
