import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct Logs: Verb {
  static let configuration = CommandConfiguration(
    commandName: "logs",
    abstract: "Show what a slice's service has printed.",
    discussion: """
      What it printed to standard error goes to standard error. On a terminal, control characters \
      are shown escaped; elsewhere every byte comes as it was written. With --json: an array of \
      entries, with --follow one entry a line.

        slicectl logs web
        slicectl logs web -f -n 20
        slicectl logs web --since 10m
        slicectl logs web --since 2026-03-01T06:00:00Z
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Flag(name: .shortAndLong, help: "Go on with what it prints from now on.")
  var follow = false

  @Option(
    name: [.customShort("n"), .customLong("lines")],
    help: ArgumentHelp("The last so many lines only.", valueName: "number"))
  var lines: Int?

  @Option(
    help: ArgumentHelp("From so long ago (10m) or that moment (RFC 3339) on.", valueName: "time"))
  var since: String?

  var operation: String { "logs \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    if let lines, lines < 0 { throw SliceError(.usage, "--lines takes a number from 0 on") }
    let since = try since.map { try Timestamp(ago: $0, before: .now) }
    var collected: [JSONValue] = []
    let printer = LogPrinter()
    try supervisor.logs(name, lines: lines, since: since, follow: follow) { entries in
      switch (global.json, follow) {
      case (true, true):
        let texts = entries.map { $0.json.text(pretty: false) + "\n" }
        StandardOutput.write(texts.joined())
      case (true, false): collected += entries.map(\.json)
      case (false, _): printer.print(entries)
      }
    }
    if global.json, !follow { output.printWhole(.array(collected)) }
  }
}

/// Log entries to standard output and standard error.
private struct LogPrinter {
  private let isTerminal = (
    stdout: LocalTerminal(1) != nil, stderr: LocalTerminal(2) != nil
  )

  /// Neighbours of the same stream are written at once.
  func print(_ entries: [LogEntry]) {
    var start = entries.startIndex
    while start < entries.endIndex {
      let stream = entries[start].stream
      let end = entries[start...].firstIndex { $0.stream != stream } ?? entries.endIndex
      switch stream {
      case .stdout: StandardOutput.write(text(entries[start..<end], isTerminal.stdout))
      case .stderr: ErrorOutput(isJSON: false).write(text(entries[start..<end], isTerminal.stderr))
      }
      start = end
    }
  }

  private func text(_ entries: ArraySlice<LogEntry>, _ isTerminal: Bool) -> String {
    entries.map { LogText.text(of: $0, forTerminal: isTerminal) }.joined()
  }
}
