/// Aligned columns that give way: on a narrow terminal titles become short, columns move together, the
/// first one is cut, and whole columns are left out, the least important first, so that no line wraps.
public struct FittedTable: Sendable {
  public struct Column: Sendable {
    let title: String
    /// Where there is no room for the title.
    let short: String
    /// 0 is always there. Columns of one rank are shown together or not at all.
    let rank: Int
    let alignment: Table.Column.Alignment

    public init(
      _ title: String, short: String? = nil, rank: Int,
      _ alignment: Table.Column.Alignment = .right
    ) {
      self.title = title
      self.short = short ?? title
      self.rank = rank
      self.alignment = alignment
    }
  }

  private let columns: [Column]
  private let rows: [[String]]
  /// Cells that the texts of each column take, without its title.
  private let textWidths: [Int]

  /// Below this the first column is cut only where the terminal has no room for more.
  private static let narrowestName = 8

  /// - Parameter rows: each has one text a column; control characters must be escaped already.
  public init(columns: [Column], rows: [[String]]) {
    precondition(rows.allSatisfy { $0.count == columns.count }, "a row with holes")
    self.columns = columns
    self.rows = rows
    textWidths = columns.indices.map { column in
      rows.reduce(0) { max($0, $1[column].cells) }
    }
  }

  /// The lines, titles first, none longer than `width` cells and without trailing blanks.
  /// - Parameter width: nil where the lines may be of any length: then everything is shown.
  public func lines(width: Int?) -> [String] {
    let layout = layout(width)
    let titles = columns.map { layout.isShort ? $0.short : $0.title }
    return ([titles] + rows).map { row in
      let line = line(row, layout)
      return width.map { line.cells > $0 ? line.cut(to: $0) : line } ?? line
    }
  }

  // MARK: - Choosing

  private struct Layout {
    var isShort: Bool
    /// Blanks between columns.
    var gap: Int
    /// Index and width of each column that is shown.
    var columns: [(index: Int, width: Int)]
  }

  private func layout(_ width: Int?) -> Layout {
    let all = Array(columns.indices)
    for isShort in [false, true] {
      let layout = Layout(
        isShort: isShort, gap: 2, columns: all.map { ($0, self.width($0, isShort)) })
      guard let width, total(layout) > width else { return layout }
    }
    return narrow(width ?? 0)
  }

  /// With short titles, close together, and as many ranks as there is room for.
  private func narrow(_ width: Int) -> Layout {
    let wanted = self.width(0, true)
    let name = min(wanted, max(Self.narrowestName, width / 4))
    var chosen = Layout(isShort: true, gap: 1, columns: [])
    for rank in Set(columns.map(\.rank)).sorted() {
      let shown = columns.indices.filter { columns[$0].rank <= rank }
      let layout = Layout(
        isShort: true, gap: 1, columns: shown.map { ($0, $0 == 0 ? name : self.width($0, true)) })
      guard rank == 0 || total(layout) <= width else { break }
      chosen = layout
    }
    // What is left over belongs to the name.
    chosen.columns[0].width = min(wanted, max(1, name + width - total(chosen)))
    return chosen
  }

  private func width(_ column: Int, _ isShort: Bool) -> Int {
    let title = isShort ? columns[column].short : columns[column].title
    return max(title.cells, textWidths[column])
  }

  private func total(_ layout: Layout) -> Int {
    layout.columns.reduce(0) { $0 + $1.width } + layout.gap * (layout.columns.count - 1)
  }

  // MARK: - Writing

  private func line(_ cells: [String], _ layout: Layout) -> String {
    var line = ""
    var pending = 0
    for (index, width) in layout.columns {
      let text = cells[index].cells > width ? cells[index].cut(to: width) : cells[index]
      let padding = width - text.cells
      switch columns[index].alignment {
      case .left:
        line.append(String(repeating: " ", count: pending))
        line.append(text)
        pending = padding + layout.gap
      case .right:
        if text.isEmpty {
          pending += padding + layout.gap
        } else {
          line.append(String(repeating: " ", count: pending + padding))
          line.append(text)
          pending = layout.gap
        }
      }
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}

extension String {
  /// How many cells it takes on a terminal, for texts without wide characters.
  var cells: Int { utf8.allSatisfy { $0 < 0x80 } ? utf8.count : count }

  /// Cut in the middle, so that what tells names apart stays: `customer…d-12`.
  func cut(to width: Int) -> String {
    guard width > 1 else { return String(prefix(max(0, width))) }
    let tail = (width - 1) / 2
    return String(prefix(width - 1 - tail)) + "…" + String(suffix(tail))
  }
}
