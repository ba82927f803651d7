import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct Wait: Verb {
  static let configuration = CommandConfiguration(
    commandName: "wait",
    abstract: "Wait until a slice's service has ended for good.",
    discussion: """
      Gives its exit status, or 128 + the signal's number where a signal ended it.

        slicectl create build --image debian -- make test
        slicectl wait build && slicectl destroy build
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  var operation: String { "wait \(name.escapedForTerminal)" }

  func perform() throws {
    let end = try supervisor.wait(SliceName(name))
    output.print(EndReport(name: name, end: end))
    throw ExitCode(end.exitCode ?? end.signal.map { 128 + $0 } ?? 1)
  }
}

private struct EndReport: Report {
  let name: String
  let end: WaitCall.Reply

  func text(_ screen: Screen) -> [String] {
    let how =
      end.signal.map { "ended by signal \(SignalNames.name($0))" }
      ?? "exited with status \(end.exitCode.map { "\($0)" } ?? "unknown")"
    let why = end.reason.map { ", \($0.escapedForTerminal)" } ?? ""
    return ["\(name): \(how)\(why)"]
  }

  var json: JSONValue {
    .object([
      "name": .string(name), "exitCode": JSONValue(end.exitCode), "signal": JSONValue(end.signal),
      "reason": JSONValue(end.reason),
    ])
  }
}
