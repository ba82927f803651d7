// The units of the command line. Each type parses what a person writes, prints the shortest
// form that parses to the same value, and refuses what does not fit.

/// A number with a unit suffix, split: `1.5G` is (1.5, "G"). ASCII alone: Swift compares strings by
/// canonical equivalence, where the Kelvin sign U+212A is a "K".
private func splitNumber(_ text: String) -> (digits: String, unit: String)? {
  guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
  let digits = text.prefix { $0.isNumber || $0 == "." }
  let unit = text.dropFirst(digits.count)
  guard !digits.isEmpty, digits.first != ".", digits.last != ".",
    digits.filter({ $0 == "." }).count <= 1
  else { return nil }
  return (String(digits), String(unit))
}

/// A number of ASCII digits alone: Swift's own initialisers also take a sign.
func decimal(_ text: some StringProtocol) -> Int? {
  text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
}

/// `digits` times `factor`, exactly where both are whole; nil when it does not fit 63 bits.
private func scaled(_ digits: String, by factor: UInt64) -> UInt64? {
  if let whole = UInt64(digits) {
    let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
    return overflow || product > UInt64(Int64.max) ? nil : product
  }
  guard let number = Double(digits) else { return nil }
  let product = (number * Double(factor)).rounded()
  return product < Double(Int64.max) ? UInt64(product) : nil
}

/// The largest unit that divides `value`, and the quotient.
private func shortest(_ value: UInt64, _ units: [(String, UInt64)]) -> String {
  for (name, factor) in units where value != 0 && value.isMultiple(of: factor) {
    return "\(value / factor)\(name)"
  }
  return "\(value)"
}

/// An amount of memory or storage in bytes: `256M`, units K, M, G, T as powers of 1024.
public struct ByteSize: Sendable, Hashable, Comparable {
  public var bytes: UInt64

  public init(bytes: UInt64) { self.bytes = bytes }

  public init?(_ text: String) {
    guard let (digits, unit) = splitNumber(text),
      let factor = Self.factors[unit.uppercased()],
      let bytes = scaled(digits, by: factor)
    else { return nil }
    self.bytes = bytes
  }

  private static let factors: [String: UInt64] = [
    "": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
    "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
  ]

  public static func < (left: ByteSize, right: ByteSize) -> Bool { left.bytes < right.bytes }
}

extension ByteSize: CustomStringConvertible {
  public var description: String {
    shortest(bytes, [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)])
  }
}

/// A rate of a network in bits per second: `100M`, units K, M, G as powers of 1000.
public struct BitRate: Sendable, Hashable, Comparable {
  public var bitsPerSecond: UInt64

  public init(bitsPerSecond: UInt64) { self.bitsPerSecond = bitsPerSecond }

  public init?(_ text: String) {
    guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
    var written = text
    for suffix in ["bit/s", "bps", "bit"] where written.lowercased().hasSuffix(suffix) {
      written.removeLast(suffix.count)
      break
    }
    guard let (digits, unit) = splitNumber(written),
      let factor = Self.factors[unit.uppercased()],
      let rate = scaled(digits, by: factor)
    else { return nil }
    bitsPerSecond = rate
  }

  private static let factors: [String: UInt64] = [
    "": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000,
  ]

  public static func < (left: BitRate, right: BitRate) -> Bool {
    left.bitsPerSecond < right.bitsPerSecond
  }
}

extension BitRate: CustomStringConvertible {
  public var description: String {
    shortest(bitsPerSecond, [("G", 1_000_000_000), ("M", 1_000_000), ("K", 1_000)])
  }
}

/// A length of time in milliseconds: `1.5h`, units ms, s (the default), m, h, d, w.
public struct TimeSpan: Sendable, Hashable, Comparable {
  public var milliseconds: UInt64

  public init(milliseconds: UInt64) { self.milliseconds = milliseconds }
  /// Saturates at the longest span.
  public init(seconds: UInt64) {
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
    milliseconds = overflow ? UInt64.max : product
  }

  public init?(_ text: String) {
    guard let (digits, unit) = splitNumber(text),
      let factor = Self.factors[unit.isEmpty ? "s" : unit],
      let amount = scaled(digits, by: factor)
    else { return nil }
    milliseconds = amount
  }

  private static let factors: [String: UInt64] = [
    "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000,
  ]

  public static func < (left: TimeSpan, right: TimeSpan) -> Bool {
    left.milliseconds < right.milliseconds
  }
}

extension TimeSpan: CustomStringConvertible {
  public var description: String {
    guard milliseconds != 0 else { return "0s" }
    return shortest(
      milliseconds,
      [
        ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
        ("ms", 1),
      ])
  }
}

/// A ceiling of processor time in thousandths of one processor: `150%`, `1.5` or `1500m`.
public struct CPUAmount: Sendable, Hashable, Comparable {
  public var millicores: UInt64

  public init(millicores: UInt64) { self.millicores = millicores }

  public init?(_ text: String) {
    guard let (digits, unit) = splitNumber(text) else { return nil }
    let factor: UInt64
    switch unit {
    case "": factor = 1000
    case "%": factor = 10
    case "m": factor = 1
    default: return nil
    }
    guard let amount = scaled(digits, by: factor) else { return nil }
    millicores = amount
  }

  public static func < (left: CPUAmount, right: CPUAmount) -> Bool {
    left.millicores < right.millicores
  }
}

extension CPUAmount: CustomStringConvertible {
  public var description: String {
    millicores.isMultiple(of: 10) ? "\(millicores / 10)%" : "\(millicores)m"
  }
}

/// A set of processors in the kernel's list format, `0-3,8` (cpuset(7), "List format").
public struct ProcessorSet: Sendable, Hashable {
  /// The highest processor number accepted; the kernel's own largest NR_CPUS is 8192.
  public static let highest = 8191

  /// Sorted, disjoint, not adjacent, not empty.
  public let ranges: [ClosedRange<Int>]

  public init?(_ text: String) {
    var members: [ClosedRange<Int>] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { decimal($0) }
      guard numbers.count == ends.count, (1...2).contains(ends.count),
        let low = numbers.first, let high = numbers.last, low <= high, high <= Self.highest
      else { return nil }
      members.append(low...high)
    }
    guard !members.isEmpty else { return nil }
    var merged: [ClosedRange<Int>] = []
    for range in members.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    ranges = merged
  }

  /// How many processors there are in it.
  public var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// Whether every processor of this set is in `other`.
  public func isSubset(of other: ProcessorSet) -> Bool {
    ranges.allSatisfy { range in
      other.ranges.contains {
        $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound
      }
    }
  }
}

extension ProcessorSet: CustomStringConvertible {
  public var description: String {
    ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}
