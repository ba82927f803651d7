import ArgumentParser
import SliceClient
import SliceModel

/// What `stop` and `restart` take: which slices, and how long their services get.
struct StoppingOptions: ParsableArguments {
  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Option(
    help: ArgumentHelp(
      "How long to wait after SIGTERM before SIGKILL, such as 30s. (default: 10s)",
      valueName: "time"))
  var timeout: String?

  /// Nil: the supervisor's own.
  func grace() throws -> TimeSpan? { try timeout.map(TimeSpan.init(option:)) }
}
