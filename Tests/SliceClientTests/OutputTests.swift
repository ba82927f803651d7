import SliceInterface
import SliceModel
import Testing

@testable import SliceClient

@Suite struct JSONTextTests {
  private let value = JSONValue.object([
    "b": .null, "a": .array([.integer(-1), .number(0.5), .bool(true), .object([:])]),
  ])

  @Test func onOneLineWithSortedKeys() {
    #expect(value.text(pretty: false) == #"{"a":[-1,0.5,true,{}],"b":null}"#)
  }

  @Test func indented() {
    #expect(
      JSONValue.object(["a": .array([.integer(1)]), "b": .array([])]).text(pretty: true)
        == "{\n  \"a\": [\n    1\n  ],\n  \"b\": []\n}")
  }

  @Test(arguments: [
    ("\"\\\n\t", #""\"\\\n\t""#), ("\u{0}\u{1B}", #""\u0000\u001b""#), ("\u{9B}", #""\u009b""#),
    ("\u{202E}", #""\u202e""#), ("é\u{1F600}", "\"é\u{1F600}\""),
  ])
  func strings(text: String, json: String) {
    #expect(JSONValue.string(text).text(pretty: false) == json)
  }

  @Test func whatJSONHasNoNumberForIsNull() {
    #expect(JSONValue.number(.infinity).text(pretty: false) == "null")
  }
}

@Suite struct TableTests {
  private let table = Table(
    columns: [.init("NAME"), .init("IMAGE", isFree: true), .init("N", .right)],
    rows: [["a", "a-rather-long-image-name", "1"], ["bcd", "host", "100"]])

  @Test func alignsWithoutTrailingBlanks() {
    #expect(
      table.lines(width: nil) == [
        "NAME  IMAGE                       N", "a     a-rather-long-image-name    1",
        "bcd   host                      100",
      ])
  }

  @Test func cutsTheFreeColumnToTheWidth() {
    let lines = table.lines(width: 24)
    #expect(
      lines == ["NAME  IMAGE            N", "a     a-rather-lon…    1", "bcd   host           100"])
  }

  @Test func neverCutsOtherColumns() {
    #expect(table.lines(width: 5)[2] == "bcd   host      100")
  }

  @Test func linesEndWithTheirText() {
    let table = Table(columns: [.init("NAME"), .init("LAST")], rows: [["a", "x"]])
    #expect(table.lines(width: 80) == ["NAME  LAST", "a     x"])
  }
}

@Suite struct TimestampTests {
  @Test(
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2002-10-28T09:30:00Z", 1_035_797_400),
      ("2002-10-28T10:30:00+01:00", 1_035_797_400), ("2000-02-29T12:00:00.5Z", 951_825_600.5),
      ("1969-12-31 23:59:59z", -1), ("2026-03-01T00:00:00Z", 1_772_323_200),
    ] as [(String, Double)])
  func reads(text: String, seconds: Double) {
    #expect(Timestamp(text)?.unixSeconds == seconds)
  }

  @Test(arguments: [
    "", "2002-10-28", "2002-10-28T09:30:00", "2001-02-29T00:00:00Z", "2002-13-01T00:00:00Z",
    "2002-10-28T24:00:00Z", "2002-10-28T09:30:00.Z", "2002-10-28T09:30:00+1:00", "now",
  ])
  func refuses(text: String) {
    #expect(Timestamp(text) == nil)
  }

  @Test(arguments: [
    (0, "over"), (-5, "over"), (0.1, "in 1s"), (59.5, "in 1m"), (2_591_999.8, "in 30d"),
  ])
  func distances(seconds: Double, text: String) {
    #expect(Timestamp(unixSeconds: seconds).distance(from: Timestamp(unixSeconds: 0)) == text)
  }

  @Test(arguments: [
    (0, "now"), (-5, "now"), (1, "1s"), (59.9, "59s"), (60, "1m"), (3600, "1h"),
    (169_200, "47h"), (172_800, "2d"), (34_560_000, "400d"),
  ])
  func ages(seconds: Double, text: String) {
    #expect(Timestamp(unixSeconds: 0).age(at: Timestamp(unixSeconds: seconds)) == text)
  }
}

@Suite struct ReadableTests {
  @Test(
    arguments: [
      (0, "0"), (1023, "1023"), (1024, "1K"), (1536, "1.5K"), (12_693_000, "12.1M"),
      (1_048_575, "1M"), (Int64.max, "8E"),
    ] as [(Int64, String)])
  func bytes(count: Int64, text: String) {
    #expect(Readable.bytes(count) == text)
  }

  @Test func rates() {
    #expect(Readable.bitRate(1_000_000) == "1M")
    #expect(Readable.bitRate(999) == "999")
  }

  @Test func percent() {
    #expect(Readable.percent(0.3333) == "33.3%")
    #expect(Readable.rounded(.nan) == "-")
  }
}

@Suite struct LogTextTests {
  private func entry(_ text: String, partial: Bool = false) -> LogEntry {
    LogEntry(time: "2026-01-01T00:00:00Z", stream: .stdout, text: text, partial: partial)
  }

  @Test func terminalsSeeNoControlCharacters() {
    let attack = entry("\u{1B}]0;owned\u{7}\t\u{9B}2J")
    #expect(
      LogText.text(of: attack, forTerminal: true)
        == "\\u{1b}]0;owned\\u{7}\t\\u{9b}2J\n")
  }

  @Test func elsewhereTheyPass() {
    #expect(LogText.text(of: entry("\u{1B}[1m"), forTerminal: false) == "\u{1B}[1m\n")
  }

  @Test func partialLinesGoOn() {
    #expect(LogText.text(of: entry("ab", partial: true), forTerminal: false) == "ab")
  }
}

@Suite struct ProgressLineTests {
  @Test func showsABarWhereTheSizeIsKnown() {
    let line = ProgressLine(label: "importing", width: 80)
    let text = line.text(
      .init(readBytes: 512 << 10, totalBytes: 1 << 20, entries: 7), elapsed: 2)
    #expect(
      text.hasPrefix("importing [###############---------------] 512K of 1M, 7 entries, 256K/s"))
  }

  @Test func fitsANarrowTerminal() {
    let line = ProgressLine(label: "importing", width: 20)
    #expect(line.text(.init(readBytes: 1, totalBytes: 2, entries: 1), elapsed: 1).count < 20)
  }

  @Test func isThrottled() {
    var line = ProgressLine(label: "importing", width: 80)
    #expect(line.update(.init(), elapsed: 0) != nil)
    #expect(line.update(.init(), elapsed: 0.05) == nil)
    #expect(line.update(.init(), elapsed: 0.15) != nil)
  }
}

@Suite struct SignalNameTests {
  @Test(
    arguments: [("TERM", 15), ("SIGTERM", 15), ("sigterm", 15), ("9", 9), ("34", 34)]
      as [(String, Int32)])
  func reads(text: String, number: Int32) {
    #expect(SignalNames.number(text) == number)
  }

  @Test(arguments: ["", "0", "65", "-1", "SIG", "TERMINATE"])
  func refuses(text: String) {
    #expect(SignalNames.number(text) == nil)
  }
}
