import ArgumentParser
import Descriptor
import Glibc
import SliceClient
import SliceConformance
import SliceModel

struct Conformance: Verb {
  static let configuration = CommandConfiguration(
    abstract: "Attack slices of this host and tell whether they hold.",
    discussion: """
      Makes slices of its own (conformance-1 and so on), tries from inside what a slice must not be able to do, \
      shows for each attack that it works where the defence is absent, and removes all it has made. It \
      touches no other slice. Some controls need root. Ends with status 1 when an attack worked or could not be \
      judged; what this host can't try is skipped and shown.

        slicectl conformance
        slicectl conformance --format junit >isolation.xml
        slicectl conformance --only 'mount.*'
        slicectl conformance --list
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Option(help: "How to print: table, tap, junit or json. (default: table; json with --json)")
  var format: ResultFormat?

  @Option(
    help: ArgumentHelp(
      "Only the cases of this name, or concern, or that match it with '*'. Can be given again.",
      valueName: "pattern"))
  var only: [String] = []

  @Flag(help: "Print the cases and run none.")
  var list = false

  @Flag(help: "Also what fills the host's uplink or its disk for some seconds.")
  var load = false

  @Flag(
    help: "Also with 1,000 slices at once, which takes a minute and a node with as many numbers.")
  var thorough = false

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      "Attack containers of another runtime instead: a command line that runs slice-probe, with the arguments behind it, in one.",
      valueName: "command"))
  var adapter: [String] = []

  var operation: String { "conformance" }

  func perform() throws {
    let cases = try selected()
    if list {
      print(cases)
      return
    }
    let queue: SignalQueue
    do throws(SystemError) {
      queue = try SignalQueue([SIGINT, SIGTERM, SIGHUP])
    } catch {
      throw SliceError(.failed, "\(error)")
    }
    // Before anything is made.
    if adapter.isEmpty { _ = try supervisor.list() }
    let suite = Suite(
      cases, slicectl: try ownPath(), probe: try probePath(), socket: global.socket,
      adapter: adapter.isEmpty ? nil : adapter, load: load, thorough: thorough,
      interruption: Interruption { queue.next() })
    let display = ConformanceProgress(isWanted: !global.quiet && !global.json, of: cases.count)
    defer { display.clear() }
    switch try suite.run(progress: display.show) {
    case .interrupted(let signal): throw ExitCode(128 + signal)
    case .finished(let results):
      display.clear()
      if !global.quiet {
        StandardOutput.write((format ?? (global.json ? .json : .table)).text(results))
      }
      if !Tally(results).isGood { throw ExitCode(SliceError.Code.failed.exitStatus) }
    }
  }

  private func selected() throws(SliceError) -> [ConformanceCase] {
    if only.isEmpty { return Catalogue.all }
    var ids: Set<String> = []
    for pattern in only {
      let found = Catalogue.matching(pattern)
      guard !found.isEmpty else {
        throw SliceError(
          .usage, "no case is called '\(pattern.escapedForTerminal)'",
          hint: "'slicectl conformance --list' shows them")
      }
      ids.formUnion(found.map(\.id))
    }
    return Catalogue.all.filter { ids.contains($0.id) }
  }

  private func print(_ cases: [ConformanceCase]) {
    if global.json || format == .json {
      StandardOutput.write(Catalogue.json(cases).text(pretty: true) + "\n")
    } else if global.quiet {
      StandardOutput.write(cases.map { $0.id + "\n" }.joined())
    } else {
      let rows = cases.map { [$0.id, $0.statement, $0.reference] }
      let table = Table(
        columns: [
          .init("CASE"), .init("MUST HOLD", isFree: true), .init("REFERENCE", isFree: true),
        ],
        rows: rows)
      StandardOutput.write(
        table.lines(width: Screen.standardOutput.width).map { $0 + "\n" }.joined())
    }
  }

  private func ownPath() throws(SliceError) -> String {
    guard let path = HostPath.link("/proc/self/exe") else {
      throw SliceError(.failed, "readlink(/proc/self/exe): errno \(errno)")
    }
    return path
  }

  /// Beside slicectl, as it is built; or where it is installed.
  private func probePath() throws(SliceError) -> String {
    let directory = try ownPath().split(separator: "/").dropLast()
    let places = [
      "/" + directory.joined(separator: "/") + "/slice-probe",
      "/" + directory.dropLast().joined(separator: "/") + "/lib/slices/slice-probe",
    ]
    guard let path = places.first(where: { access($0, X_OK) == 0 }) else {
      throw SliceError(
        .failed, "slice-probe is not at \(places.joined(separator: ", nor at "))",
        hint: "is the installation complete?")
    }
    return path
  }
}

extension ResultFormat: ExpressibleByArgument {}

/// What is under way, on standard error where that is a terminal.
private final class ConformanceProgress {
  private let isWanted: Bool
  private let count: Int

  init(isWanted: Bool, of count: Int) {
    self.isWanted = isWanted && LocalTerminal(STDERR_FILENO) != nil
    self.count = count
  }

  func show(_ what: String, _ done: Int) {
    if isWanted { ErrorOutput(isJSON: false).write("\r\u{1b}[K\(done)/\(count) \(what)") }
  }

  func clear() {
    if isWanted { ErrorOutput(isJSON: false).write("\r\u{1b}[K") }
  }
}
