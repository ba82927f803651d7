import ArgumentParser
import SliceClient
import SliceModel

struct Stop: Verb {
  static let configuration = CommandConfiguration(
    abstract: "End the processes of slices; the slices stay.",
    discussion: """
      The service gets SIGTERM; whatever is left after the timeout is killed.

        slicectl stop web
        slicectl stop --timeout 1m database
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Option(
    help: ArgumentHelp(
      "How long to wait after SIGTERM before SIGKILL, such as 30s. (default: 10s)",
      valueName: "time"))
  var timeout: String?

  var operation: String { "stop" }

  func perform() throws {
    let timeout = try timeout.map(TimeSpan.init(option:))
    try forEach(names, operation) { NamedResult(try supervisor.stop($0, timeout: timeout)) }
  }
}
