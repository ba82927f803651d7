import ArgumentParser
import SliceClient
import SliceModel

struct StopAll: Verb {
  static let configuration = CommandConfiguration(
    commandName: "stop-all",
    abstract: "The emergency stop: end every slice on this node at once.",
    discussion: """
      For administrators of the node. No slice runs or sends any more when it returns. Slices stay, \
      and can be started again.

        sudo slicectl stop-all
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "stop-all" }

  func perform() throws {
    output.print(StopReport(stopped: try supervisor.stopAll()))
  }
}

private struct StopReport: Report {
  let stopped: Int
  func text(_ screen: Screen) -> [String] { ["stopped \(stopped) slice\(stopped == 1 ? "" : "s")"] }
  var json: JSONValue { .object(["stopped": JSONValue(stopped)]) }
}
