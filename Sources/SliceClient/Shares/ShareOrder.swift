import SliceModel

/// What rows of `shares` and `top` are sorted by. All but names: the largest first.
public enum ShareOrder: String, Sendable, CaseIterable {
  case name, cpu, memory, io, net, pids

  /// Equal ones are in the order of their names.
  public func sorted(_ slices: [JSONValue]) -> [JSONValue] {
    let keyed = slices.map { (slice: $0, key: key($0), name: $0["name"].string ?? "") }
    return keyed.sorted { left, right in
      left.key == right.key ? left.name < right.name : left.key > right.key
    }.map(\.slice)
  }

  /// What goes on now where that is known, else all that there was.
  private func key(_ slice: JSONValue) -> Double {
    let rates = slice["rates"]
    switch self {
    case .name: return 0
    case .cpu: return slice["cpu"]["usageCores"].number ?? slice["cpu"]["usageSeconds"].number ?? -1
    case .memory: return slice["memory"]["currentBytes"].number ?? -1
    case .io:
      return Self.sum(rates["readBytesPerSecond"], rates["writtenBytesPerSecond"])
        ?? Self.sum(slice["io"]["readBytes"], slice["io"]["writtenBytes"]) ?? -1
    case .net:
      return Self.sum(rates["sentBitsPerSecond"], rates["receivedBitsPerSecond"])
        ?? Self.sum(slice["net"]["sentBytes"], slice["net"]["receivedBytes"]) ?? -1
    case .pids: return slice["pids"]["current"].number ?? -1
    }
  }

  private static func sum(_ left: JSONValue, _ right: JSONValue) -> Double? {
    guard left.number != nil || right.number != nil else { return nil }
    return (left.number ?? 0) + (right.number ?? 0)
  }
}
