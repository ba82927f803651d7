import SliceClient
import SliceModel

/// How results are shown.
enum OutputFormat {
  /// For people.
  case text
  /// Names, or nothing.
  case quiet
  /// For programs.
  case json
}

/// What a verb has found out, in every format.
protocol Report {
  func text(_ screen: Screen) -> [String]
  var quiet: [String] { get }
  var json: JSONValue { get }
}

extension Report {
  var quiet: [String] { [] }
}

/// Where results go: standard output, in one format.
struct Output {
  let format: OutputFormat
  let screen: Screen

  /// Prints a result: the one JSON value of a verb, or lines.
  func print(_ report: some Report) {
    switch format {
    case .text: write(report.text(screen))
    case .quiet: write(report.quiet)
    case .json: write(report.json)
    }
  }

  /// Prints the result of one slice of several, where they are printed one by one.
  func printPart(_ line: String) {
    switch format {
    case .text: write([line])
    case .quiet, .json: break
    }
  }

  /// Prints the results of several slices, where they are printed as a whole.
  func printWhole(_ value: JSONValue) {
    switch format {
    case .text, .quiet: break
    case .json: write(value)
    }
  }

  /// Prints one of a stream of results, each on a line of its own also as JSON.
  func printNext(_ report: some Report) {
    switch format {
    case .text: write(report.text(screen))
    case .quiet: write(report.quiet)
    case .json: write([report.json.text(pretty: false)])
    }
  }

  private func write(_ lines: [String]) {
    if !lines.isEmpty { StandardOutput.write(lines.joined(separator: "\n") + "\n") }
  }

  private func write(_ value: JSONValue) {
    StandardOutput.write(value.text(pretty: screen.isTerminal) + "\n")
  }
}
