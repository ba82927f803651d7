import SliceClient
import SliceModel

/// What slices may use and do use.
struct SharesReport: Report {
  let slices: [JSONValue]

  func text(_ screen: Screen) -> [String] {
    let table = Table(
      columns: [
        .init("NAME"), .init("CPU SHARE", .right), .init("CORES", .right), .init("MAX", .right),
        .init("THROTTLED", .right), .init("MEMORY", .right), .init("MAX", .right),
        .init("OOM", .right), .init("PIDS", .right), .init("MAX", .right), .init("DISK", .right),
        .init("SENT", .right), .init("RECEIVED", .right), .init("PRESSURE C/M/I", .right),
      ], rows: slices.map(row))
    return table.lines(width: screen.width)
  }

  private func row(_ slice: JSONValue) -> [String] {
    let (cpu, memory, pids) = (slice["cpu"], slice["memory"], slice["pids"])
    let (net, pressure) = (slice["net"], slice["pressure"])
    return [
      slice["name"].string?.escapedForTerminal ?? "-",
      Self.show(cpu["share"].number, Readable.percent),
      Self.show(cpu["usageCores"].number, Readable.rounded),
      Self.show(cpu["maxCores"].number, Readable.rounded),
      Self.show(cpu["throttledSeconds"].number) { Readable.rounded($0) + "s" },
      Self.show(memory["currentBytes"].integer, Readable.bytes),
      Self.show(memory["maxBytes"].integer, Readable.bytes),
      Self.show(memory["oomKills"].integer) { "\($0)" },
      Self.show(pids["current"].integer) { "\($0)" },
      Self.show(pids["max"].integer) { "\($0)" },
      Self.show(slice["disk"]["usedBytes"].integer, Readable.bytes),
      Self.show(net["sentBytes"].integer, Readable.bytes),
      Self.show(net["receivedBytes"].integer, Readable.bytes),
      ["cpu", "memory", "io"].map { Self.show(pressure[$0].number, Readable.rounded) }
        .joined(separator: "/"),
    ]
  }

  private static func show<Value>(_ value: Value?, _ format: (Value) -> String) -> String {
    value.map(format) ?? "-"
  }

  var quiet: [String] { slices.compactMap { $0["name"].string?.escapedForTerminal } }
  var json: JSONValue { .array(slices) }
}
