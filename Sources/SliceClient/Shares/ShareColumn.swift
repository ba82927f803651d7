import SliceModel

/// A column of `shares` or `top`. The ranks rule which ones a narrow terminal shows: with 80 cells up
/// to about 7.
struct ShareColumn: Sendable {
  let column: FittedTable.Column
  /// The text for the figures of a row.
  private let show: @Sendable (JSONValue) -> String
  private let isName: Bool

  func text(_ row: ShareTable.Row) -> String {
    if isName { return row.name }
    return row.figures == .null ? "" : show(row.figures)
  }

  static let totals: [ShareColumn] = [
    name, owner, state, weight, share, cores, maximumCores,
    number("CPU TIME", short: "TIME", rank: 12, "cpu", "usageSeconds", Figure.time),
    number("THROTTLED", short: "THR", rank: 5, "cpu", "throttledSeconds", Figure.time),
    memory, floor, maximumMemory, peak, swap, kills, processes, maximumProcesses,
    number("IO SHARE", short: "IO", rank: 16, "io", "share", Figure.percent),
    number("READ", rank: 9, "io", "readBytes", Figure.bytes),
    number("WRITTEN", short: "WRITE", rank: 9, "io", "writtenBytes", Figure.bytes),
    disk, maximumDisk,
    number("NET SHARE", short: "NET", rank: 18, "net", "share", Figure.percent),
    number("SENT", rank: 10, "net", "sentBytes", Figure.bytes),
    number("RECEIVED", short: "RECV", rank: 10, "net", "receivedBytes", Figure.bytes),
    dropped, pressure,
  ]

  static let rates: [ShareColumn] = [
    name, owner, state, weight, share, cores, maximumCores,
    number("THROTTLED", short: "THR", rank: 4, "rates", "throttledShare", Figure.percent),
    memory, maximumMemory, peak, swap, kills, processes, maximumProcesses,
    number("READ/s", rank: 7, "rates", "readBytesPerSecond", Figure.bytes),
    number("WRITTEN/s", short: "WRITE/s", rank: 7, "rates", "writtenBytesPerSecond", Figure.bytes),
    number("SENT bit/s", short: "OUT b/s", rank: 8, "rates", "sentBitsPerSecond", Figure.bits),
    number(
      "RECEIVED bit/s", short: "IN b/s", rank: 8, "rates", "receivedBitsPerSecond", Figure.bits),
    disk, maximumDisk, pressure,
  ]

  // MARK: - Columns of both

  private static let name = ShareColumn(
    column: .init("NAME", rank: 0, .left), show: { _ in "" }, isName: true)
  private static let owner = text("OWNER", rank: 19, "owner")
  private static let state = text("STATE", rank: 11, "state")
  private static let weight = number(
    "WEIGHT", short: "WT", rank: 13, "cpu", "weight", Readable.rounded)
  private static let share = number(
    "CPU SHARE", short: "SHARE", rank: 2, "cpu", "share", Figure.percent)
  private static let cores = number("CORES", rank: 1, "cpu", "usageCores", Figure.cores)
  private static let maximumCores = number("MAX", rank: 4, "cpu", "maxCores", Readable.rounded)
  private static let memory = number("MEMORY", rank: 1, "memory", "currentBytes", Figure.bytes)
  private static let floor = number("FLOOR", rank: 14, "memory", "minBytes", Figure.bytes)
  private static let maximumMemory = number("MAX", rank: 2, "memory", "maxBytes", Figure.bytes)
  private static let peak = number("PEAK", rank: 6, "memory", "peakBytes", Figure.bytes)
  private static let swap = number("SWAP", rank: 15, "memory", "swapBytes", Figure.bytes)
  private static let kills = number("OOM", rank: 3, "memory", "oomKills", Figure.count)
  private static let processes = number("PIDS", rank: 2, "pids", "current", Figure.count)
  private static let maximumProcesses = number("MAX", rank: 14, "pids", "max", Figure.count)
  private static let disk = number("DISK", rank: 11, "disk", "usedBytes", Figure.bytes)
  private static let maximumDisk = number("MAX", rank: 16, "disk", "maxBytes", Figure.bytes)
  private static let dropped = number(
    "DROPPED", short: "DROP", rank: 17, "net", "droppedPackets", Figure.count)
  private static let pressure = ShareColumn(
    column: .init("PRESSURE C/M/I", short: "PSI C/M/I", rank: 5),
    show: { row in
      ["cpu", "memory", "io"].map { kind in
        row["pressure"][kind].number.map { "\(Int($0.rounded()))" } ?? "-"
      }.joined(separator: "/")
    }, isName: false)

  // MARK: - Making them

  private static func text(_ title: String, rank: Int, _ key: String) -> ShareColumn {
    ShareColumn(
      column: .init(title, rank: rank, .left),
      show: { $0[key].string?.escapedForTerminal ?? "-" }, isName: false)
  }

  private static func number(
    _ title: String, short: String? = nil, rank: Int, _ group: String, _ key: String,
    _ format: @escaping @Sendable (Double) -> String
  ) -> ShareColumn {
    ShareColumn(
      column: .init(title, short: short, rank: rank),
      show: { $0[group][key].number.map(format) ?? "-" }, isName: false)
  }
}
