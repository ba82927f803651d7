import ArgumentParser
import SliceClient
import SliceModel

struct OverlayList: Verb {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show the overlays.",
    discussion: """
        slicectl overlay list
      """,
    aliases: ["ls"])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "overlay list" }

  func perform() throws { output.print(OverlayListReport(overlays: try supervisor.overlays())) }
}

struct OverlayInspect: Verb {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show an overlay: members, peers, traffic, drops.",
    discussion: """
        slicectl overlay inspect mesh
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  var operation: String { "overlay inspect \(name.escapedForTerminal)" }

  func perform() throws {
    output.print(
      OverlayReport(overlay: try supervisor.inspectOverlay(OverlayName(name)), isNew: false))
  }
}

struct OverlayDelete: Verb {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Remove an overlay without members from this node.",
    discussion: """
        slicectl overlay delete mesh
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  var operation: String { "overlay delete \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try OverlayName(name)
    try supervisor.deleteOverlay(name)
    output.print(DeletionReport(name: name))
  }
}

private struct DeletionReport: Report {
  let name: OverlayName
  func text(_ screen: Screen) -> [String] { ["\(name): deleted"] }
  var json: JSONValue { .object(["name": .string(name.text)]) }
}
