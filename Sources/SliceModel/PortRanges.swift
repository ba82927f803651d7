/// A set of ports as people write it: `20000-20099,443`.
public struct PortRanges: Sendable, Hashable {
  /// Sorted, disjoint, not adjacent, not empty; from port 1.
  public let ranges: [ClosedRange<UInt16>]

  /// How many ranges a text may have.
  public static let mostRanges = 64

  /// Nil for what is no such list, or names a port twice: that is a slip more often than meant.
  public init?(_ text: String) {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    guard parts.count <= Self.mostRanges else { return nil }
    var ranges: [ClosedRange<UInt16>] = []
    for part in parts {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false)
      let numbers = ends.compactMap { end in decimal(end).flatMap { UInt16(exactly: $0) } }
      guard numbers.count == ends.count, (1...2).contains(ends.count),
        let low = numbers.first, let high = numbers.last, 0 < low, low <= high
      else { return nil }
      ranges.append(low...high)
    }
    self.init(ranges)
  }

  /// Nil for overlapping ranges.
  public init?(_ ranges: [ClosedRange<UInt16>]) {
    guard !ranges.isEmpty else { return nil }
    var merged: [ClosedRange<UInt16>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound <= last.upperBound { return nil }
      if let last = merged.last, range.lowerBound == last.upperBound + 1 {
        merged[merged.count - 1] = last.lowerBound...range.upperBound
      } else {
        merged.append(range)
      }
    }
    self.ranges = merged
  }

  public init(_ range: ClosedRange<UInt16>) { ranges = [range] }

  /// How many ports there are in it.
  public var count: Int { ranges.reduce(0) { $0 + $1.count } }

  /// From the first to the last.
  public var hull: ClosedRange<UInt16> {
    ranges[0].lowerBound...ranges[ranges.count - 1].upperBound
  }

  /// What the hull has beside it; nil: nothing.
  public var gaps: PortRanges? {
    PortRanges(zip(ranges, ranges.dropFirst()).map { $0.upperBound + 1...$1.lowerBound - 1 })
  }

  public func contains(_ port: UInt16) -> Bool { ranges.contains { $0.contains(port) } }

  /// The first port that both have; nil: none.
  public func firstCommon(with other: PortRanges) -> UInt16? {
    for range in ranges {
      if let hit = other.ranges.first(where: { $0.overlaps(range) }) {
        return max(range.lowerBound, hit.lowerBound)
      }
    }
    return nil
  }

  /// The first port beyond a range; nil: there is none.
  public func firstBeyond(_ range: ClosedRange<UInt16>) -> UInt16? {
    ranges.lazy.joined().first { !range.contains($0) }
  }
}

extension PortRanges: CustomStringConvertible {
  public var description: String {
    ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ",")
  }
}
