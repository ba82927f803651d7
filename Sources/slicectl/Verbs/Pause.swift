import ArgumentParser
import SliceClient
import SliceModel

struct Pause: Verb {
  static let configuration = CommandConfiguration(
    commandName: "pause",
    abstract: "Freeze all processes of slices, where they are.",
    discussion: """
      They keep their memory and get no processor time until 'slicectl resume'.

        slicectl pause batch
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  var operation: String { "pause" }

  func perform() throws {
    try forEach(names, operation) { NamedResult(try supervisor.pause($0)) }
  }
}
