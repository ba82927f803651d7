import ArgumentParser
import SliceClient
import SliceModel

struct Destroy: Verb {
  static let configuration = CommandConfiguration(
    commandName: "destroy",
    abstract: "Remove slices and all that they used.",
    discussion: """
      Their storage and logs go with them. A running slice is refused without --force.

        slicectl destroy web
        slicectl destroy --force web cache
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Flag(name: [.customShort("f"), .long], help: "Also where they run: their processes are killed.")
  var force = false

  var operation: String { "destroy" }

  func perform() throws {
    try forEach(names, operation) { name in
      try supervisor.destroy(name, force: force)
      return NamedResult(
        text: "\(name): destroyed", json: .object(["name": .string(name.text)]))
    }
  }
}
