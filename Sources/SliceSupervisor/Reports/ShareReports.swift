import SliceKernel
import SliceModel
import SliceRuntime

/// Use and limits of slices: the objects of `shares --json`, whose keys are in slicectl(1).
struct ShareReports: Sendable {
  let node: Node

  /// The reply to `Shares`, as JSON text: one object a slice, and one for all of the node's slices
  /// together. Shares are those that the weights guarantee among the slices that compete: those that
  /// run and are not paused.
  func shares(_ records: [SliceRecord], among all: [SliceRecord], tree: Bool) -> [UInt8] {
    let competitors = all.filter { $0.run?.paused == false }
    func total(_ key: Key) -> UInt64 {
      competitors.reduce(0) { $0 + ($1.spec.settings.count(key) ?? 100) }
    }
    let senders = competitors.filter { $0.spec.settings.networkMode != .none }
    let parts = node.networkShares(senders.map(\.spec.settings))
    let totals = Totals(
      cpuWeight: total(.cpuWeight), ioWeight: total(.ioWeight),
      netShares: Dictionary(
        zip(senders.map(\.number), parts), uniquingKeysWith: { first, _ in first }))
    // Made into text by the thread that has read it.
    let (slices, node) = node.use(of: records, tree: tree) { record, use in
      JSONObjectWriter.object { json in
        json.member("name", record.name)
        json.member("owner", record.ownerName)
        json.member("state", record.state.rawValue)
        write(record, use, totals, to: &json)
        guard tree else { return }
        json.array("children", use.children) { $0.write(to: &$1) }
        json.member("moreChildren", use.moreChildren)
      }
    }
    let total = JSONObjectWriter.object { write(node, all, to: &$0) }
    return Array(#"{"slices":["#.utf8) + Array(slices.joined(separator: ",".utf8))
      + Array(#"],"node":"#.utf8) + total + Array("}".utf8)
  }

  /// Limits as they were asked, use as the kernel counts it; null where there is no such figure.
  func usage(_ record: SliceRecord) -> JSONValue {
    let text = node.use(of: [record], tree: false) { record, use in
      JSONObjectWriter.object { write(record, use, Totals(), to: &$0) }
    }.slices[0]
    // What was just written can be read.
    return (try? JSONValue(parsing: text)) ?? .null
  }

  /// Of the slices that compete. 0: nothing is said about shares.
  private struct Totals: Sendable {
    var cpuWeight: UInt64 = 0
    var ioWeight: UInt64 = 0
    /// By the number of the slice.
    var netShares: [Int: Double] = [:]
  }

  private func write(
    _ record: SliceRecord, _ use: SliceUse, _ totals: Totals, to json: inout JSONObjectWriter
  ) {
    let settings = record.spec.settings
    func weight(_ key: Key) -> UInt64 { settings.count(key) ?? 100 }
    func share(_ key: Key, of total: UInt64) -> Double? {
      guard record.run?.paused == false, total > 0 else { return nil }
      return Double(weight(key)) / Double(total)
    }
    json.object("cpu") {
      $0.member("weight", weight(.cpuWeight))
      $0.member("share", share(.cpuWeight, of: totals.cpuWeight))
      $0.member("maxCores", settings.cpuMax.map { Double($0.millicores) / 1000 })
      $0.member("usageCores", recentCores(record))
      use.cgroup.writeProcessor(to: &$0)
    }
    json.object("memory") {
      $0.member("minBytes", settings.bytes(.memoryMin))
      $0.member("lowBytes", settings.bytes(.memoryLow))
      $0.member("highBytes", settings.bytes(.memoryHigh))
      $0.member("maxBytes", settings.bytes(.memoryMax))
      $0.member("swapMaxBytes", settings.bytes(.memorySwapMax))
      use.cgroup.writeMemory(to: &$0)
    }
    json.object("pids") {
      $0.member("max", settings.count(.pidsMax))
      $0.member("current", use.cgroup.processes)
    }
    json.object("io") {
      $0.member("weight", weight(.ioWeight))
      $0.member("share", share(.ioWeight, of: totals.ioWeight))
      use.cgroup.writeStorage(to: &$0)
    }
    json.object("disk") {
      $0.member("maxBytes", settings.bytes(.diskMax))
      $0.member("usedBytes", node.storageUse(record)?.usedBytes)
    }
    json.object("net") {
      $0.member("weight", weight(.netWeight))
      $0.member("share", totals.netShares[record.number])
      $0.member("minBitsPerSecond", settings.rate(.netMin)?.bitsPerSecond)
      $0.member("maxBitsPerSecond", settings.rate(.netMax)?.bitsPerSecond)
      $0.member("inMaxBitsPerSecond", settings.rate(.netInMax)?.bitsPerSecond)
      use.link.write(to: &$0)
      $0.array("drops", use.drops?.present ?? []) { $0.write(to: &$1) }
    }
    json.object("pressure") { use.cgroup.writePressure(to: &$0) }
  }

  private func write(_ use: NodeUse, _ all: [SliceRecord], to json: inout JSONObjectWriter) {
    let cores = all.compactMap(recentCores)
    json.member("clockSeconds", Double(use.clockNanoseconds) / 1e9)
    json.object("slices") {
      $0.member("total", all.count)
      $0.member("running", all.count { $0.run != nil })
    }
    json.object("cpu") {
      $0.member("processors", use.processors)
      $0.member("maxCores", use.maximumCores)
      $0.member("usageCores", cores.isEmpty ? nil : cores.reduce(0, +))
      use.cgroup.writeProcessor(to: &$0)
    }
    json.object("memory") {
      $0.member("totalBytes", use.memoryBytes)
      $0.member("maxBytes", use.maximumMemoryBytes)
      use.cgroup.writeMemory(to: &$0)
    }
    json.object("pids") {
      $0.member("max", use.maximumProcesses)
      $0.member("current", use.cgroup.processes)
    }
    json.object("io") { use.cgroup.writeStorage(to: &$0) }
    json.object("net") {
      $0.member("maxBitsPerSecond", node.presentCapacity.bitsPerSecond)
      use.link.write(to: &$0)
    }
    json.object("pressure") { use.cgroup.writePressure(to: &$0) }
  }

  /// How many processors it has kept busy lately, where somebody has watched.
  private func recentCores(_ record: SliceRecord) -> Double? {
    (try? SliceName(record.name)).flatMap(node.recentCores)
  }
}

// MARK: - What is the same for a slice, a cgroup inside one, and the whole node

extension CgroupUse {
  fileprivate func writeProcessor(to json: inout JSONObjectWriter) {
    json.member("usageSeconds", seconds(cpuMicroseconds))
    json.member("throttledSeconds", seconds(throttledMicroseconds))
    json.member("periods", periods)
    json.member("throttledPeriods", throttledPeriods)
  }

  fileprivate func writeMemory(to json: inout JSONObjectWriter) {
    json.member("currentBytes", memoryBytes)
    json.member("peakBytes", memoryPeakBytes)
    json.member("swapBytes", swapBytes)
    json.member("oomKills", outOfMemoryKills)
  }

  fileprivate func writeStorage(to json: inout JSONObjectWriter) {
    json.member("readBytes", readBytes)
    json.member("writtenBytes", writtenBytes)
    json.member("readOperations", readOperations)
    json.member("writtenOperations", writtenOperations)
  }

  fileprivate func writePressure(to json: inout JSONObjectWriter) {
    json.member("cpu", cpuPressure.recentPercent)
    json.member("memory", memoryPressure.recentPercent)
    json.member("io", ioPressure.recentPercent)
    json.member("cpuSeconds", seconds(cpuPressure.totalMicroseconds))
    json.member("memorySeconds", seconds(memoryPressure.totalMicroseconds))
    json.member("ioSeconds", seconds(ioPressure.totalMicroseconds))
  }

  private func seconds(_ microseconds: UInt64?) -> Double? { microseconds.map { Double($0) / 1e6 } }
}

extension CgroupTree {
  fileprivate func write(to json: inout JSONObjectWriter) {
    json.member("name", name)
    json.object("cpu") { use.writeProcessor(to: &$0) }
    json.object("memory") { use.writeMemory(to: &$0) }
    json.object("pids") { $0.member("current", use.processes) }
    json.object("io") { use.writeStorage(to: &$0) }
    json.object("pressure") { use.writePressure(to: &$0) }
    json.array("children", children) { $0.write(to: &$1) }
  }
}

extension LinkStatistics? {
  fileprivate func write(to json: inout JSONObjectWriter) {
    json.member("sentBytes", self?.sentBytes)
    json.member("receivedBytes", self?.receivedBytes)
    json.member("sentPackets", self?.sentPackets)
    json.member("receivedPackets", self?.receivedPackets)
    json.member("droppedPackets", self?.droppedPackets)
    json.member("sentDroppedPackets", self?.sentDropped.packets)
    json.member("sentDroppedBytes", self?.sentDropped.bytes)
    json.member("receivedDroppedPackets", self?.receivedDropped.packets)
    json.member("receivedDroppedBytes", self?.receivedDropped.bytes)
  }
}

/// Drops of one direction for one reason.
private struct DropRow {
  var direction: String
  var count: DropStatistics.Count

  func write(to json: inout JSONObjectWriter) {
    json.member("direction", direction)
    json.member("reason", count.reason)
    json.member("packets", count.packets)
    json.member("bytes", count.bytes)
  }
}

extension DropStatistics {
  /// What there was any of.
  fileprivate var present: [DropRow] {
    func rows(_ direction: String, _ counts: [Count]) -> [DropRow] {
      counts.filter { $0.packets > 0 }.map { DropRow(direction: direction, count: $0) }
    }
    return rows("sent", sent) + rows("received", received)
  }
}
