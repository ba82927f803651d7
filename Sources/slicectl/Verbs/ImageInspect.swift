import ArgumentParser
import SliceClient
import SliceModel

struct ImageInspect: Verb {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show all that is known of an image.",
    discussion: """
        slicectl image inspect debian
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "Name or digest.", completion: Completions.images)
  var image: String

  var operation: String { "image inspect \(image.escapedForTerminal)" }

  func perform() throws {
    output.print(DocumentReport(json: try supervisor.inspectImage(image).json))
  }
}
