import SliceModel

/// Figures of the interface as texts for people, whatever comes.
enum Figure {
  static let bytes: @Sendable (Double) -> String = { Readable.bytes(whole($0)) }
  static let bits: @Sendable (Double) -> String = { Readable.bitRate(whole($0)) }
  /// `12.5%` of a fraction of one, and `0.58` processors: with as many digits behind the point in every
  /// row, so that a column can be compared by eye.
  static let percent: @Sendable (Double) -> String = { fixed($0 * 100, digits: 1) + "%" }
  static let cores: @Sendable (Double) -> String = { fixed($0, digits: 2) }
  static let count: @Sendable (Double) -> String = { "\(whole($0))" }

  /// `12.3s`, `45m`, `12.5h`, `20d`: never wider than five cells.
  static let time: @Sendable (Double) -> String = { seconds in
    switch seconds {
    case ..<1000: Readable.rounded(seconds) + "s"
    case ..<60_000: Readable.rounded(seconds / 60) + "m"
    case ..<3_600_000: Readable.rounded(seconds / 3600) + "h"
    default: Readable.rounded(seconds / 86_400) + "d"
    }
  }

  private static func fixed(_ value: Double, digits: Int) -> String {
    let scale: Int64 = digits == 1 ? 10 : 100
    let scaled = whole((value * Double(scale)).rounded())
    let fraction = String(scaled.magnitude % UInt64(scale))
    let padding = String(repeating: "0", count: digits - fraction.count)
    return "\(scaled / scale).\(padding)\(fraction)"
  }

  /// The nearest whole number of 64 bits; 0 for what is no number.
  private static func whole(_ value: Double) -> Int64 {
    value.isNaN ? 0 : Int64(max(-9e18, min(9e18, value)))
  }
}
