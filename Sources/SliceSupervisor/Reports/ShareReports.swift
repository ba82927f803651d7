import SliceKernel
import SliceModel
import SliceRuntime

/// Use and limits of slices: the objects of `shares --json`.
struct ShareReports: Sendable {
  let node: Node

  /// One object a slice. Shares are those that the weights guarantee among the slices that run.
  func shares(_ records: [SliceRecord], among all: [SliceRecord]) -> [JSONValue] {
    let running = all.filter { $0.run != nil }
    func total(_ key: Key) -> UInt64 {
      running.reduce(0) { $0 + ($1.spec.settings.count(key) ?? 100) }
    }
    let totals = (cpu: total(.cpuWeight), io: total(.ioWeight))
    return records.map { record in
      func share(_ key: Key, _ total: UInt64) -> JSONValue {
        guard record.run != nil, total > 0 else { return .null }
        return .number(Double(record.spec.settings.count(key) ?? 100) / Double(total))
      }
      guard case .object(var members) = usage(record) else { return .null }
      members["name"] = .string(record.name)
      members["cpu"] = members["cpu"]?.adding("share", share(.cpuWeight, totals.cpu))
      members["io"] = members["io"]?.adding("share", share(.ioWeight, totals.io))
      return .object(members)
    }
  }

  /// Limits as they were asked, use as the kernel counts it; null where there is no such figure.
  func usage(_ record: SliceRecord) -> JSONValue {
    let settings = record.spec.settings
    let group = node.cgroup.slices.child(record.name)
    let cpu = KeyedFile(group, "cpu.stat")
    let io = IOStatistics(group)
    let events = KeyedFile(group, "memory.events")
    let link = record.run == nil ? nil : node.linkStatistics(record)
    func single(_ file: String) -> JSONValue { JSONValue(CgroupFigure.read(group, file)) }
    return .object([
      "cpu": .object([
        "weight": JSONValue(settings.count(.cpuWeight) ?? 100),
        "maxCores": JSONValue(settings.cpuMax.map { Double($0.millicores) / 1000 }),
        "usageSeconds": JSONValue(cpu["usage_usec"].map { Double($0) / 1e6 }),
        "usageCores": JSONValue((try? SliceName(record.name)).flatMap(node.recentCores)),
        "throttledSeconds": JSONValue(cpu["throttled_usec"].map { Double($0) / 1e6 }),
        "share": .null,
      ]),
      "memory": .object([
        "minBytes": JSONValue(settings.bytes(.memoryMin)),
        "lowBytes": JSONValue(settings.bytes(.memoryLow)),
        "highBytes": JSONValue(settings.bytes(.memoryHigh)),
        "maxBytes": JSONValue(settings.bytes(.memoryMax)),
        "currentBytes": single("memory.current"),
        "peakBytes": single("memory.peak"),
        "oomKills": JSONValue(events["oom_kill"]),
      ]),
      "pids": .object([
        "max": JSONValue(settings.count(.pidsMax)), "current": single("pids.current"),
      ]),
      "io": .object([
        "weight": JSONValue(settings.count(.ioWeight) ?? 100), "share": .null,
        "readBytes": JSONValue(io.read), "writtenBytes": JSONValue(io.written),
      ]),
      "disk": .object([
        "maxBytes": JSONValue(settings.bytes(.diskMax)),
        "usedBytes": JSONValue(node.storageUse(record)?.usedBytes),
      ]),
      "net": .object([
        "weight": JSONValue(settings.count(.netWeight) ?? 100), "share": .null,
        "minBitsPerSecond": JSONValue(settings.rate(.netMin)?.bitsPerSecond),
        "maxBitsPerSecond": JSONValue(settings.rate(.netMax)?.bitsPerSecond),
        "sentBytes": JSONValue(link?.sentBytes), "receivedBytes": JSONValue(link?.receivedBytes),
        "sentPackets": JSONValue(link?.sentPackets),
        "receivedPackets": JSONValue(link?.receivedPackets),
        "droppedPackets": JSONValue(link?.droppedPackets),
      ]),
      "pressure": .object([
        "cpu": pressure(group, "cpu"), "memory": pressure(group, "memory"),
        "io": pressure(group, "io"),
      ]),
    ])
  }

  /// Percent of the last ten seconds in which some process waited (psi.rst, "some avg10").
  private func pressure(_ group: Cgroup, _ kind: String) -> JSONValue {
    // Absent where the kernel has no pressure accounting, or the slice does not run.
    guard let text = try? group.read("\(kind).pressure"),
      let field = text.split(separator: " ").first(where: { $0.hasPrefix("avg10=") }),
      let percent = Double(field.dropFirst(6))
    else { return .null }
    return .number(percent)
  }
}

/// A cgroup file with one figure; nil where it is absent or says `max`.
enum CgroupFigure {
  static func read(_ group: Cgroup, _ file: String) -> UInt64? {
    (try? group.read(file)).flatMap { UInt64($0) }
  }
}

/// A cgroup file of `NAME VALUE` lines; empty where it is absent.
struct KeyedFile {
  private var values: [Substring: UInt64] = [:]

  init(_ group: Cgroup, _ file: String) {
    for line in ((try? group.read(file)) ?? "").split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let value = UInt64(words[1]) { values[words[0]] = value }
    }
  }

  subscript(name: String) -> UInt64? { values[Substring(name)] }
}

/// io.stat, added up over all devices.
struct IOStatistics {
  var read: UInt64?
  var written: UInt64?

  init(_ group: Cgroup) {
    guard let text = try? group.read("io.stat") else { return }  // no io controller
    read = 0
    written = 0
    for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      if word.hasPrefix("rbytes=") { read! += UInt64(word.dropFirst(7)) ?? 0 }
      if word.hasPrefix("wbytes=") { written! += UInt64(word.dropFirst(7)) ?? 0 }
    }
  }
}

extension JSONValue {
  /// An object with one more member.
  func adding(_ key: String, _ value: JSONValue) -> JSONValue {
    guard case .object(var members) = self else { return self }
    members[key] = value
    return .object(members)
  }
}
