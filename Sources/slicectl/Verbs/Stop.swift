import ArgumentParser
import SliceClient
import SliceModel

struct Stop: Verb {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "End the processes of slices; the slices stay.",
    discussion: """
      The service gets SIGTERM; whatever is left after the timeout is killed.

        slicectl stop web
        slicectl stop --timeout 1m database
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @OptionGroup var stopping: StoppingOptions

  var operation: String { "stop" }

  func perform() throws {
    let grace = try stopping.grace()
    try forEach(stopping.names, operation) { NamedResult(try supervisor.stop($0, timeout: grace)) }
  }
}
