import ArgumentParser
import SliceClient

struct List: Verb {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show the slices of this node that are yours.",
    discussion: """
      UP tells for how long a slice has been running, AGE how long ago it was created.

        slicectl list
        slicectl list --quiet | xargs slicectl stop
      """,
    aliases: ["ls"])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "list" }

  func perform() throws {
    output.print(ListReport(slices: try supervisor.list()))
  }
}
