import ArgumentParser
import SliceClient
import SliceModel

struct Inspect: Verb {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show all that is known of a slice.",
    discussion: """
      What was asked, what is, and which limits this host does not enforce.

        slicectl inspect web
        slicectl inspect web --json | jq .pid
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  var operation: String { "inspect \(name.escapedForTerminal)" }

  func perform() throws {
    output.print(DocumentReport(json: try supervisor.inspect(SliceName(name))))
  }
}
