// Quantities rounded for reading; `SliceModel`'s own descriptions are exact instead.

/// Numbers as people read them: at most three significant digits and a unit.
public enum Readable {
  /// `12.4M`, in powers of 1024.
  public static func bytes(_ count: some BinaryInteger) -> String {
    scaled(Double(count), by: 1024, units: ["", "K", "M", "G", "T", "P", "E"])
  }

  /// `12.4M`, in powers of 1000.
  public static func bitRate(_ bitsPerSecond: Int64) -> String {
    scaled(Double(bitsPerSecond), by: 1000, units: ["", "k", "M", "G", "T"])
  }

  /// `12.4%` of a fraction of one.
  public static func percent(_ fraction: Double) -> String { rounded(fraction * 100) + "%" }

  /// Up to three significant digits, no more than two after the point.
  public static func rounded(_ number: Double) -> String {
    let magnitude = abs(number)
    let factor: Double = magnitude < 10 ? 100 : magnitude < 100 ? 10 : 1
    let value = (number * factor).rounded() / factor
    guard value.isFinite, abs(value) < 1e15 else { return "-" }
    return value == value.rounded() ? "\(Int64(value))" : "\(value)"
  }

  private static func scaled(_ number: Double, by base: Double, units: [String]) -> String {
    var value = number
    var unit = 0
    // What rounds to the base goes to the next unit: 1023.9K is 1M.
    while value.rounded() >= base, unit + 1 < units.count {
      value /= base
      unit += 1
    }
    return rounded(value) + units[unit]
  }
}
