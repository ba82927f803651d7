import SliceInterface
import SliceModel

/// What `top` shows and how keys change it: no terminal, no clock, no supervisor.
public struct TopModel: Sendable {
  /// A line of the screen.
  public struct Line: Sendable, Hashable {
    public enum Style: Sendable, Hashable { case plain, titles, alert, hint }
    public var text: String
    public var style: Style
  }

  /// What a key asks for beyond another picture.
  public enum Action: Sendable, Hashable { case none, quit, interrupt, suspend, sample }

  public private(set) var order: ShareOrder
  /// Whether cgroups inside slices are shown.
  public private(set) var wantsTree: Bool
  private let intervalText: String
  private var sample: SharesSample?
  private var failure: String?
  private var showsHelp = false
  /// Rows of the table above the window.
  private var offset = 0
  /// Of the table, in the last picture.
  private var (rows, window) = (0, 0)

  public init(order: ShareOrder, tree: Bool, intervalText: String) {
    self.order = order
    wantsTree = tree
    self.intervalText = intervalText
  }

  // MARK: - What happens

  /// - Parameter sample: with rates.
  public mutating func show(_ sample: SharesSample) {
    self.sample = sample
    failure = nil
  }

  /// What was shown stays.
  public mutating func fail(_ error: SliceError) { failure = error.message.escapedForTerminal }

  public mutating func press(_ key: TopKey) -> Action {
    if key == .interrupt { return .interrupt }
    if key == .suspend { return .suspend }
    if showsHelp {
      showsHelp = false
      return key == .character("q") ? .quit : .none
    }
    switch key {
    case .up, .character("k"): scroll(by: -1)
    case .down, .character("j"): scroll(by: 1)
    case .pageUp, .character("b"): scroll(by: -max(1, window - 1))
    case .pageDown, .character(" "): scroll(by: max(1, window - 1))
    case .home, .character("g"): scroll(by: -rows)
    case .end, .character("G"): scroll(by: rows)
    case .character("q"): return .quit
    case .character("?"), .character("h"): showsHelp = true
    case .character("t"):
      wantsTree.toggle()
      return .sample
    case .character(let letter):
      guard let chosen = Self.orders.first(where: { $0.key == letter })?.order else { break }
      order = chosen
      offset = 0
    default: break
    }
    return .none
  }

  private static let orders: [(key: Character, order: ShareOrder)] = [
    ("c", .cpu), ("m", .memory), ("i", .io), ("n", .net), ("p", .pids), ("N", .name),
  ]

  private mutating func scroll(by rows: Int) {
    offset = max(0, min(offset + rows, self.rows - window))
  }

  // MARK: - The picture

  /// Exactly as many lines as the terminal has, none wider than it.
  public mutating func picture(_ size: TerminalSize) -> [Line] {
    let (height, width) = (Int(size.rows), Int(size.columns))
    var lines = showsHelp ? help : heading(width) + table(width, height)
    lines = Array(lines.prefix(max(0, height - 1)))
    while lines.count < height - 1 { lines.append(Line(text: "", style: .plain)) }
    lines.append(footer)
    return lines.map { line in
      line.text.cells > width
        ? Line(text: String(line.text.prefix(width)), style: line.style) : line
    }
  }

  private var footer: Line {
    if let failure { return Line(text: "no answer: \(failure); trying again", style: .alert) }
    if showsHelp { return Line(text: "any key goes back, q quits", style: .hint) }
    let place = rows > window ? "  rows \(offset + 1)-\(min(rows, offset + window)) of \(rows)" : ""
    return Line(
      text: "q quit  ? help  sorted by \(order.rawValue), every \(intervalText)" + place,
      style: .hint)
  }

  private var help: [Line] {
    [
      "c m i n p N  sort by processors, memory, disk, network, processes, name",
      "t            show the cgroups inside slices, or hide them",
      "arrows j k   scroll; Page up, Page down, space, b, Home, End, g, G: further",
      "Ctrl-Z       back to the shell for a while",
      "q Ctrl-C     quit",
      "",
      "CORES and the columns with /s: in the time since the last picture.",
      "SHARE: what its weight guarantees among the slices that run now.",
      "THR: part of the periods in which its ceiling (MAX) held it back.",
      "PSI C/M/I: percent of the last 10 s that some of it waited for processor,",
      "memory and disk. OOM: processes killed for want of memory.",
    ].map { Line(text: $0, style: .plain) }
  }

  private mutating func table(_ width: Int, _ height: Int) -> [Line] {
    guard let sample else { return [] }
    let lines = ShareTable(.rates, slices: order.sorted(sample.slices)).lines(width: width)
    rows = lines.count - 1
    window = max(0, height - 1 - Self.headingHeight - 1)
    offset = max(0, min(offset, rows - window))
    let titles = lines[0] + String(repeating: " ", count: max(0, width - lines[0].cells))
    return [Line(text: titles, style: .titles)]
      + lines.dropFirst(1 + offset).prefix(window).map { Line(text: $0, style: .plain) }
  }

  // MARK: - The node

  private static let headingHeight = 4

  private func heading(_ width: Int) -> [Line] {
    let node = sample?.node ?? .null
    func show(_ group: String, _ key: String, _ format: (Double) -> String) -> String {
      node[group][key].number.map(format) ?? "-"
    }
    let cores = node["cpu"]["maxCores"].number ?? node["cpu"]["processors"].number
    let memory = node["memory"]["maxBytes"].number ?? node["memory"]["totalBytes"].number
    return [
      Line(
        text: "Slices  \(show("slices", "total", Figure.count)), "
          + "\(show("slices", "running", Figure.count)) running, "
          + "\(show("pids", "current", Figure.count)) processes and threads",
        style: .plain),
      Line(
        text: "CPU     "
          + gauge(node["cpu"]["usageCores"].number, of: cores, "cores", Readable.rounded, width)
          + "  waiting \(show("pressure", "cpu") { Readable.rounded($0) + "%" })",
        style: .plain),
      Line(
        text: "Memory  "
          + gauge(node["memory"]["currentBytes"].number, of: memory, "", Figure.bytes, width)
          + "  waiting \(show("pressure", "memory") { Readable.rounded($0) + "%" })",
        style: .plain),
      Line(
        text: "Disk    \(show("rates", "readBytesPerSecond", Figure.bytes))/s read, "
          + "\(show("rates", "writtenBytesPerSecond", Figure.bytes))/s written, "
          + "waiting \(show("pressure", "io") { Readable.rounded($0) + "%" })   "
          + "Net  \(show("rates", "sentBitsPerSecond", Figure.bits))bit/s out, "
          + "\(show("rates", "receivedBitsPerSecond", Figure.bits))bit/s in",
        style: .plain),
    ]
  }

  /// `[#####-----]  1.5 of 2 cores`
  private func gauge(
    _ value: Double?, of whole: Double?, _ unit: String, _ format: (Double) -> String, _ width: Int
  ) -> String {
    let cells = 20
    var parts: [String] = []
    if width >= 60 {
      let part = value.flatMap { value in whole.map { $0 > 0 ? value / $0 : 0 } } ?? 0
      let filled = Int((max(0, min(1, part)) * Double(cells)).rounded())
      parts.append(
        "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: cells - filled)
          + "] ")
    }
    parts.append("\(value.map(format) ?? "-") of \(whole.map(format) ?? "-")")
    if !unit.isEmpty { parts.append(unit) }
    return parts.joined(separator: " ")
  }
}
