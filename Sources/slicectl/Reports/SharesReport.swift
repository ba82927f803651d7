import SliceClient
import SliceModel

/// What slices may use and do use.
struct SharesReport: Report {
  private let kind: ShareTable.Kind
  private let slices: [JSONValue]
  /// Null: not shown.
  private let total: JSONValue
  /// Another one comes after it.
  private let isFollowed: Bool

  init(
    _ kind: ShareTable.Kind, sample: SharesSample, order: ShareOrder, showsTotal: Bool,
    isFollowed: Bool = false
  ) {
    self.kind = kind
    slices = order.sorted(sample.slices)
    total = showsTotal ? sample.node : .null
    self.isFollowed = isFollowed
  }

  func text(_ screen: Screen) -> [String] {
    ShareTable(kind, slices: slices, total: total).lines(width: screen.width)
      + (isFollowed ? [""] : [])
  }

  var quiet: [String] { slices.compactMap { $0["name"].string?.escapedForTerminal } }
  var json: JSONValue { .array(slices) }
}
