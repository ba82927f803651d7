import CClassifier
import SliceModel

/// What was dropped of one slice's packets, and why.
public struct DropStatistics: Sendable, Hashable {
  /// Packets and bytes by reason, in the order of the program's list.
  public struct Count: Sendable, Hashable {
    /// A word of slicectl(1), "DROPS".
    public var reason: String
    public var packets, bytes: UInt64
  }

  /// Of what the slice sent.
  public var sent: [Count]
  /// Of what was sent to it.
  public var received: [Count]
}

/// Counters of what the program has dropped.
extension Classifier {
  private static let reasons = (0..<ccl_reasons()).map { String(cString: ccl_reason_name($0)) }

  /// Nil for a link that is not admitted.
  public func drops(_ link: String) throws(SliceError) -> DropStatistics? {
    guard let index = links.withLock({ $0[link] }) else { return nil }
    var packets = [UInt64](repeating: 0, count: Self.reasons.count)
    var bytes = packets
    try classifying("drops of \(link)") {
      ccl_drops(handle.pointer, index, &packets, &bytes, $0)
    }
    return Self.statistics(packets[...], bytes[...])
  }

  /// Those of all links that are admitted, by name, with one look for all.
  public func drops() throws(SliceError) -> [String: DropStatistics] {
    let names = links.withLock { $0 }
    let width = Self.reasons.count
    var capacity = names.count + 64
    while true {
      var found = [UInt32](repeating: 0, count: capacity)
      var packets = [UInt64](repeating: 0, count: capacity * width)
      var bytes = packets
      var count = 0
      try classifying("drops of links") {
        ccl_drops_list(handle.pointer, &found, &packets, &bytes, capacity, &count, $0)
      }
      guard count <= capacity else {
        capacity = count + 64
        continue
      }
      let places = Dictionary(
        found[..<count].enumerated().map { ($1, $0 * width) }, uniquingKeysWith: { $1 })
      return names.compactMapValues { index in
        places[index].map { first in
          Self.statistics(packets[first..<first + width], bytes[first..<first + width])
        }
      }
    }
  }

  private static func statistics(
    _ packets: ArraySlice<UInt64>, _ bytes: ArraySlice<UInt64>
  ) -> DropStatistics {
    let counts = zip(reasons, zip(packets, bytes)).map {
      DropStatistics.Count(reason: $0, packets: $1.0, bytes: $1.1)
    }
    let border = ccl_received_reasons()
    return DropStatistics(sent: Array(counts[..<border]), received: Array(counts[border...]))
  }
}
