import ArgumentParser
import SliceClient
import SliceModel

struct Start: Verb {
  static let configuration = CommandConfiguration(
    commandName: "start",
    abstract: "Start slices that are not running.",
    discussion: """
        slicectl start web cache
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  var operation: String { "start" }

  func perform() throws {
    try forEach(names, operation) { NamedResult(try supervisor.start($0)) }
  }
}
