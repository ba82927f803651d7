import SliceModel

/// How much one slice may write into the audit's files: a burst in every detail, and then so much for
/// each turn. Else a slice that floods would push others' records out of them within hours.
struct FlowBudget: Sendable {
  static let burst = 5_000
  static let eachTurn = 100

  private var left = Self.burst

  /// Takes the records of one slice in one turn: all, or as many as there is room for, less exact.
  mutating func spend(_ records: [FlowRecord]) -> [FlowRecord] {
    left = min(left + Self.eachTurn, Self.burst)
    let kept = Self.condensed(records, to: left)
    left -= kept.count
    return kept
  }

  /// At most `limit` records, of one slice, that account for the same packets: by address alone where
  /// that is enough, else the largest of them and the rest in one. `limit` is at least 1.
  static func condensed(_ records: [FlowRecord], to limit: Int) -> [FlowRecord] {
    guard records.count > limit else { return records }
    var byAddress: [FlowAddress?: FlowRecord] = [:]
    for record in records {
      var coarse = record
      coarse.ports = nil
      byAddress[record.address] = byAddress[record.address]?.adding(coarse) ?? coarse
    }
    guard byAddress.count > limit else { return Array(byAddress.values) }
    let sorted = byAddress.values.sorted { $0.packets > $1.packets }
    let known = sorted.filter { $0.address != nil }.prefix(limit - 1)
    let others =
      sorted.filter { $0.address == nil } + sorted.filter { $0.address != nil }.dropFirst(limit - 1)
    guard var rest = others.first else { return Array(known) }
    rest.address = nil
    for other in others.dropFirst() { rest = rest.adding(other) }
    return known + [rest]
  }
}

extension FlowRecord {
  /// Both in one, under what this one is known by.
  fileprivate func adding(_ other: FlowRecord) -> FlowRecord {
    var sum = self
    sum.first = min(first, other.first)
    sum.last = max(last, other.last)
    sum.packets += other.packets
    sum.bytes += other.bytes
    return sum
  }
}
