import ArgumentParser
import SliceClient
import SliceModel

struct ImageRemove: Verb {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Remove an image that no slice uses.",
    discussion: """
        slicectl image remove debian
      """,
    aliases: ["rm"])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "Name or digest.", completion: Completions.images)
  var image: String

  var operation: String { "image remove \(image.escapedForTerminal)" }

  func perform() throws {
    try supervisor.removeImage(image)
    output.print(RemovalReport(image: image))
  }
}

private struct RemovalReport: Report {
  let image: String
  func text(_ screen: Screen) -> [String] { ["\(image.escapedForTerminal): removed"] }
  var json: JSONValue { .object(["name": .string(image)]) }
}
