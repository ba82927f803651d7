import SliceModel

extension SharesSample {
  /// This sample with what went on since an earlier one: `cpu.usageCores`, and a member `rates` with
  /// {throttledShare, readBytesPerSecond, writtenBytesPerSecond, sentBitsPerSecond,
  /// receivedBitsPerSecond}. A rate is null where there is nothing to compare with: a slice that is new,
  /// or has been started since and counts from 0 again.
  public func withRates(since earlier: SharesSample?) -> SharesSample {
    let seconds = earlier.flatMap { earlier in
      node["clockSeconds"].number.flatMap { now in
        earlier.node["clockSeconds"].number.map { now - $0 }
      }
    }
    let rates = Rates(seconds: seconds.flatMap { $0 > 0 ? $0 : nil })
    return SharesSample(
      slices: rates.rated(slices, since: earlier?.slices ?? []),
      node: rates.rated(node, since: earlier?.node ?? .null))
  }
}

private struct Rates {
  /// Between the samples; nil: there is only one.
  let seconds: Double?

  func rated(_ rows: [JSONValue], since earlier: [JSONValue]) -> [JSONValue] {
    let byName = Dictionary(
      earlier.map { ($0["name"].string ?? "", $0) }, uniquingKeysWith: { first, _ in first })
    return rows.map { rated($0, since: byName[$0["name"].string ?? ""] ?? .null) }
  }

  func rated(_ row: JSONValue, since earlier: JSONValue) -> JSONValue {
    guard case .object(var members) = row, case .object(var cpu) = row["cpu"] else { return row }
    func growth(_ group: String, _ key: String) -> Double? {
      guard let now = row[group][key].number, let before = earlier[group][key].number,
        now >= before
      else { return nil }
      return now - before
    }
    func rate(_ group: String, _ key: String, times factor: Double = 1) -> JSONValue {
      guard let seconds, let growth = growth(group, key) else { return .null }
      return .number(growth * factor / seconds)
    }
    cpu["usageCores"] = rate("cpu", "usageSeconds")
    let periods = growth("cpu", "periods")
    let throttled = growth("cpu", "throttledPeriods")
    members["cpu"] = .object(cpu)
    members["rates"] = .object([
      "throttledShare": JSONValue(
        periods.flatMap { periods in throttled.map { periods > 0 ? $0 / periods : 0 } }),
      "readBytesPerSecond": rate("io", "readBytes"),
      "writtenBytesPerSecond": rate("io", "writtenBytes"),
      "sentBitsPerSecond": rate("net", "sentBytes", times: 8),
      "receivedBitsPerSecond": rate("net", "receivedBytes", times: 8),
    ])
    if let children = row["children"].array {
      members["children"] = .array(rated(children, since: earlier["children"].array ?? []))
    }
    return .object(members)
  }
}
