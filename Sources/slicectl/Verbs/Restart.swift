import ArgumentParser
import SliceClient
import SliceModel

struct Restart: Verb {
  static let configuration = CommandConfiguration(
    abstract: "Stop slices and start them again.",
    discussion: """
        slicectl restart web
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Option(
    help: ArgumentHelp(
      "How long to wait after SIGTERM before SIGKILL, such as 30s. (default: 10s)",
      valueName: "time"))
  var timeout: String?

  var operation: String { "restart" }

  func perform() throws {
    let timeout = try timeout.map(TimeSpan.init(option:))
    try forEach(names, operation) { NamedResult(try supervisor.restart($0, timeout: timeout)) }
  }
}
