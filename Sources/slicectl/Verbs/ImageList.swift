import ArgumentParser
import SliceClient

struct ImageList: Verb {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show the images.",
    discussion: """
        slicectl image list
      """,
    aliases: ["ls"])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "image list" }

  func perform() throws {
    output.print(ImageListReport(images: try supervisor.images()))
  }
}
