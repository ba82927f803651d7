import SliceInterface
import SliceModel
import Testing

@testable import SliceClient

/// Samples as a supervisor answers them.
enum ShareSamples {
  static func slice(
    _ name: String, cores: Double? = 0.5, memory: Int64? = 12_693_000, children: [JSONValue]? = nil,
    more: Int64 = 0
  ) -> JSONValue {
    var members: [String: JSONValue] = [
      "name": .string(name), "owner": .string("alice"), "state": .string("running"),
      "cpu": .object([
        "weight": .integer(200), "share": .number(0.6667), "maxCores": .number(1.5),
        "usageSeconds": .number(5000), "usageCores": JSONValue(cores),
        "throttledSeconds": .number(12.5), "periods": .integer(100),
        "throttledPeriods": .integer(50),
      ]),
      "memory": .object([
        "minBytes": .null, "lowBytes": .null, "highBytes": .null, "maxBytes": .integer(512 << 20),
        "currentBytes": JSONValue(memory), "peakBytes": .integer(100 << 20),
        "swapBytes": .integer(0), "oomKills": .integer(1),
      ]),
      "pids": .object(["max": .integer(64), "current": .integer(2)]),
      "io": .object([
        "weight": .integer(100), "share": .number(0.5), "readBytes": .integer(1 << 20),
        "writtenBytes": .integer(2 << 20),
      ]),
      "disk": .object(["maxBytes": .null, "usedBytes": .integer(1 << 30)]),
      "net": .object([
        "sentBytes": .integer(843), "receivedBytes": .integer(739), "sentPackets": .integer(8),
        "receivedPackets": .integer(7), "droppedPackets": .integer(0),
      ]),
      "pressure": .object([
        "cpu": .number(0.12), "memory": .number(0), "io": .number(3.5), "cpuSeconds": .number(1.5),
        "memorySeconds": .number(0), "ioSeconds": .number(0.25),
      ]),
    ]
    if let children {
      members["children"] = .array(children)
      members["moreChildren"] = .integer(more)
    }
    return .object(members)
  }

  static func cgroup(_ name: String, _ children: [JSONValue] = []) -> JSONValue {
    .object([
      "name": .string(name), "memory": .object(["currentBytes": .integer(4096)]),
      "children": .array(children),
    ])
  }

  static func node(clock: Double = 100) -> JSONValue {
    .object([
      "clockSeconds": .number(clock),
      "slices": .object(["total": .integer(2), "running": .integer(2)]),
      "cpu": .object([
        "processors": .integer(4), "maxCores": .null, "usageSeconds": .number(10_000),
      ]),
      "memory": .object([
        "totalBytes": .integer(16 << 30), "maxBytes": .integer(8 << 30),
        "currentBytes": .integer(1 << 30),
      ]),
      "pids": .object(["max": .null, "current": .integer(4)]),
    ])
  }

  static let sample = SharesSample(
    slices: [slice("web"), slice("a-slice-with-a-name-of-32-letters", cores: 1.25, memory: nil)],
    node: node())
}

@Suite struct ShareTableTests {
  private func lines(_ kind: ShareTable.Kind = .totals, width: Int?) -> [String] {
    ShareTable(kind, slices: ShareSamples.sample.slices, total: ShareSamples.sample.node)
      .lines(width: width)
  }

  private func titles(_ lines: [String]) -> [String] {
    lines[0].split(separator: " ").map(String.init)
  }

  @Test func everythingIsShownWhereThereIsNoEdge() {
    let lines = lines(width: nil)
    for title in [
      "NAME", "OWNER", "STATE", "WEIGHT", "CPU SHARE", "CORES", "CPU TIME", "THROTTLED", "MEMORY",
      "FLOOR", "PEAK", "SWAP", "OOM", "PIDS", "IO SHARE", "READ", "WRITTEN", "DISK", "NET SHARE",
      "SENT",
      "RECEIVED", "DROPPED", "PRESSURE C/M/I",
    ] {
      #expect(lines[0].contains(title))
    }
    #expect(lines.count == 4)
    #expect(lines[2].hasPrefix("a-slice-with-a-name-of-32-letters  alice"))
    #expect(lines[1].contains("66.7%"))
    #expect(lines[1].hasSuffix("0/0/4"))
    // The node: its processors where it has no ceiling, and that ceiling where it has one.
    #expect(lines[3].hasPrefix("TOTAL"))
    #expect(lines[3].contains("1G"))
    #expect(lines[3].contains("8G"))
    #expect(!lines[3].contains("16G"))
  }

  @Test(arguments: [20, 40, 60, 80, 100, 132, 200, 300])
  func nothingWraps(width: Int) {
    for kind in [ShareTable.Kind.totals, .rates] {
      for line in lines(kind, width: width) { #expect(line.count <= width, "\(line)") }
    }
  }

  @Test func whatMattersStays() {
    #expect(titles(lines(width: 40)).starts(with: ["NAME"]))
    for title in ["CORES", "MEMORY"] { #expect(titles(lines(width: 40)).contains(title)) }
    for title in ["SHARE", "CORES", "THR", "MEMORY", "OOM", "PIDS", "PSI"] {
      #expect(titles(lines(width: 80)).contains(title), "\(title)")
    }
    for title in ["SHARE", "CORES", "THR", "MEMORY", "PIDS"] {
      #expect(titles(lines(.rates, width: 80)).contains(title), "\(title)")
    }
    #expect(titles(lines(width: 132)).contains("PEAK"))
    #expect(titles(lines(width: 250)).contains("DROPPED"))
  }

  @Test func namesAreCutInTheMiddle() {
    let line = lines(width: 80)[2]
    #expect(line.hasPrefix("a-slice-w"))
    #expect(line.contains("…"))
    #expect(line.contains("letters"))
  }

  @Test func aWiderTerminalNeverShowsFewerColumns() {
    var before = 0
    for width in 20...260 {
      let count = titles(lines(width: width)).filter { $0 != "C/M/I" }.count
      #expect(count >= before, "\(width)")
      before = count
    }
  }

  @Test func trees() {
    let slice = ShareSamples.slice(
      "web",
      children: [
        ShareSamples.cgroup("a", [ShareSamples.cgroup("b")]), ShareSamples.cgroup("c"),
      ], more: 7)
    let names = ShareTable(.totals, slices: [slice]).lines(width: nil).dropFirst().map {
      $0.replacing("  ", with: "\t").split(separator: "\t")[0]
    }
    #expect(names == ["web", "├ a", "│ └ b", "├ c", "└ … 7 more"])
  }

  @Test func namesInsideASliceDriveNoTerminal() {
    let names = ["\u{1B}[2J", "\u{9B}31m", "漢字", "e\u{301}\u{301}", "a\u{202E}b", "new\tline"]
    let slice = ShareSamples.slice("web", children: names.map { ShareSamples.cgroup($0) })
    for width in [40, 80, nil] {
      let lines = ShareTable(.totals, slices: [slice]).lines(width: width)
      let allowed = Set("├└│…")
      #expect(
        lines.joined().allSatisfy { character in
          character.asciiValue.map { $0 >= 0x20 && $0 < 0x7F } ?? allowed.contains(character)
        })
    }
    let lines = ShareTable(.totals, slices: [slice]).lines(width: nil)
    #expect(lines[2].contains(#"\u{1b}[2J"#))
  }

  @Test func sortingPutsTheLargestFirst() {
    let slices = [
      ShareSamples.slice("a", cores: nil, memory: 3), ShareSamples.slice("b", cores: 2, memory: 1),
      ShareSamples.slice("c", cores: 0.5, memory: 2),
    ]
    func names(_ order: ShareOrder) -> String {
      order.sorted(slices.reversed()).compactMap { $0["name"].string }.joined()
    }
    #expect(names(.name) == "abc")
    #expect(names(.memory) == "acb")
    #expect(names(.io) == "abc")
    // Without a rate what there was in all counts: 5,000 s.
    #expect(names(.cpu) == "abc")
  }
}

@Suite struct ShareRatesTests {
  private func sample(
    _ clock: Double, usage: Double, periods: Int64 = 0, throttled: Int64 = 0, read: Int64? = 0
  ) -> SharesSample {
    SharesSample(
      slices: [
        .object([
          "name": .string("web"),
          "cpu": .object([
            "usageSeconds": .number(usage), "periods": .integer(periods),
            "throttledPeriods": .integer(throttled),
          ]), "io": .object(["readBytes": JSONValue(read)]),
          "net": .object(["sentBytes": .integer(Int64(usage * 1000))]),
        ])
      ], node: ShareSamples.node(clock: clock))
  }

  @Test func areWhatGrewInTheTime() {
    let rated = sample(12, usage: 8, periods: 30, throttled: 10, read: 4000).withRates(
      since: sample(10, usage: 5, periods: 10, throttled: 5, read: 1000)
    ).slices[0]
    #expect(rated["cpu"]["usageCores"] == .number(1.5))
    #expect(rated["rates"]["throttledShare"] == .number(0.25))
    #expect(rated["rates"]["readBytesPerSecond"] == .number(1500))
    #expect(rated["rates"]["sentBitsPerSecond"] == .number(12_000))
    #expect(rated["rates"]["receivedBitsPerSecond"] == .null)
  }

  @Test func areUnknownAtFirstAndAfterARestart() {
    #expect(sample(1, usage: 5).withRates(since: nil).slices[0]["cpu"]["usageCores"] == .null)
    let restarted = sample(2, usage: 1).withRates(since: sample(1, usage: 5)).slices[0]
    #expect(restarted["cpu"]["usageCores"] == .null)
    let sameMoment = sample(1, usage: 6).withRates(since: sample(1, usage: 5)).slices[0]
    #expect(sameMoment["cpu"]["usageCores"] == .null)
    let uncounted = sample(2, usage: 6, read: nil).withRates(since: sample(1, usage: 5)).slices[0]
    #expect(uncounted["rates"]["readBytesPerSecond"] == .null)
  }
}

@Suite struct TopModelTests {
  private func model(slices count: Int = 30) -> TopModel {
    var model = TopModel(order: .name, tree: false, intervalText: "2s")
    let slices = (0..<count).map { ShareSamples.slice("slice-\($0 / 10)\($0 % 10)") }
    model.show(SharesSample(slices: slices, node: ShareSamples.node()).withRates(since: nil))
    return model
  }

  private func texts(_ model: inout TopModel, _ rows: UInt16 = 24, _ columns: UInt16 = 80)
    -> [String]
  {
    model.picture(TerminalSize(rows: rows, columns: columns)).map(\.text)
  }

  @Test(
    arguments: [(1, 1), (2, 10), (5, 40), (24, 80), (50, 132), (60, 300)] as [(UInt16, UInt16)])
  func fillsTheScreenAndNoMore(rows: UInt16, columns: UInt16) {
    var model = model()
    for isHelp in [false, true] {
      if isHelp { _ = model.press(.character("?")) }
      let lines = texts(&model, rows, columns)
      #expect(lines.count == Int(rows))
      #expect(lines.allSatisfy { $0.count <= Int(columns) })
    }
  }

  @Test func scrollsWithinTheTable() {
    var model = model()
    #expect(texts(&model)[5].hasPrefix("slice-00"))
    #expect(texts(&model)[23].hasSuffix("rows 1-18 of 30"))
    _ = model.press(.down)
    #expect(texts(&model)[5].hasPrefix("slice-01"))
    _ = model.press(.pageDown)
    _ = model.press(.pageDown)
    #expect(texts(&model)[22].hasPrefix("slice-29"))
    _ = model.press(.home)
    _ = model.press(.up)
    #expect(texts(&model)[5].hasPrefix("slice-00"))
    // A window that has grown shows it all again.
    _ = model.press(.end)
    #expect(texts(&model, 60)[5].hasPrefix("slice-00"))
  }

  @Test func keysSortAndEnd() {
    var model = model()
    #expect(model.press(.character("m")) == .none)
    #expect(model.order == .memory)
    #expect(model.press(.character("t")) == .sample)
    #expect(model.wantsTree)
    #expect(model.press(.character("x")) == .none)
    #expect(model.press(.character("q")) == .quit)
    #expect(model.press(.interrupt) == .interrupt)
    #expect(model.press(.suspend) == .suspend)
  }

  @Test func helpGoesAwayWithAnyKey() {
    var model = model()
    _ = model.press(.character("?"))
    #expect(texts(&model)[0].contains("sort by"))
    #expect(model.press(.character("m")) == .none)
    #expect(model.order == .name)
    #expect(texts(&model)[0].hasPrefix("Slices"))
  }

  @Test func aSupervisorThatIsGoneIsSaid() {
    var model = model()
    model.fail(SliceError(.noSupervisor, "no supervisor listens at \u{1B}x"))
    let lines = model.picture(TerminalSize(rows: 24, columns: 80))
    #expect(lines[23].style == .alert)
    #expect(lines[23].text == #"no answer: no supervisor listens at \u{1b}x; trying again"#)
    #expect(lines[5].text.hasPrefix("slice-00"))
    model.show(ShareSamples.sample)
    #expect(model.picture(TerminalSize(rows: 24, columns: 80))[23].style == .hint)
  }

  @Test func readsKeysAsTerminalsSendThem() {
    #expect(
      TopKey.parse(Array("\u{1B}[A\u{1B}OB\u{1B}[5~\u{1B}[6~".utf8)) == [
        .up, .down, .pageUp, .pageDown,
      ])
    #expect(TopKey.parse(Array("\u{1B}[1;5H\u{1B}[4~".utf8)) == [.home, .end])
    #expect(TopKey.parse([0x71, 0x03, 0x1A]) == [.character("q"), .interrupt, .suspend])
    #expect(TopKey.parse(Array("\u{1B}".utf8)).isEmpty)
    #expect(TopKey.parse(Array("\u{1B}[".utf8)).isEmpty)
    #expect(TopKey.parse([0xC3, 0xA9, 0x1B, 0x5B, 0x32, 0x34, 0x7E]).isEmpty)
  }
}

@Suite struct MetricsTextTests {
  private let sample = SharesSample(
    slices: [ShareSamples.slice("web"), ShareSamples.slice("db", memory: nil)],
    node: ShareSamples.node())

  @Test func countersAreNamedAsEachFormatWantsThem() {
    let old = MetricsText(sample, format: .prometheus).text
    #expect(old.contains("# TYPE slice_cpu_usage_seconds_total counter\n"))
    #expect(old.contains("slice_cpu_usage_seconds_total{slice=\"web\",owner=\"alice\"} 5000\n"))
    #expect(!old.contains("# UNIT"))
    let new = MetricsText(sample, format: .openmetrics).text
    #expect(
      new.contains(
        "# TYPE slice_cpu_usage_seconds counter\n# UNIT slice_cpu_usage_seconds seconds\n"))
    #expect(new.contains("slice_cpu_usage_seconds_total{slice=\"web\",owner=\"alice\"} 5000\n"))
    #expect(new.hasSuffix("\n# EOF\n"))
  }

  @Test func whatIsUnknownIsLeftOut() {
    let text = MetricsText(sample, format: .prometheus).text
    #expect(text.contains("slice_memory_current_bytes{slice=\"web\",owner=\"alice\"} 12693000\n"))
    #expect(!text.contains("slice_memory_current_bytes{slice=\"db\""))
    #expect(!text.contains("slice_disk_max_bytes"))
    #expect(
      text.contains(
        #"slice_pressure_waiting_seconds_total{slice="web",owner="alice",resource="cpu"} 1.5"#))
    #expect(text.contains("\nslices_node_memory_max_bytes 8589934592\n"))
  }

  @Test func labelsAreEscaped() {
    var slice = ShareSamples.slice("web")
    guard case .object(var members) = slice else { return }
    members["owner"] = .string("a\"b\\c\nd\u{1B}")
    slice = .object(members)
    let text = MetricsText(SharesSample(slices: [slice], node: .null), format: .prometheus).text
    #expect(text.contains(#"owner="a\"b\\c\\u{a}d\\u{1b}""#))
  }

  @Test func everyMetricHasItsOwnNameAndAHelp() {
    let families = MetricFamily.ofSlices + MetricFamily.ofNode
    #expect(Set(families.map(\.name)).count == families.count)
    for family in families {
      #expect(family.help.hasSuffix("."))
      #expect(!family.name.hasSuffix("_total"))
    }
  }
}
