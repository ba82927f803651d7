import ArgumentParser
import SliceClient
import SliceModel

struct Resume: Verb {
  static let configuration = CommandConfiguration(
    commandName: "resume",
    abstract: "Let paused slices go on.",
    discussion: """
        slicectl resume batch
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  var operation: String { "resume" }

  func perform() throws {
    try forEach(names, operation) { NamedResult(try supervisor.resume($0)) }
  }
}
