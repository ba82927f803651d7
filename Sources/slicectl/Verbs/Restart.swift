import ArgumentParser
import SliceClient
import SliceModel

struct Restart: Verb {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Stop slices and start them again.",
    discussion: """
        slicectl restart web
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @OptionGroup var stopping: StoppingOptions

  var operation: String { "restart" }

  func perform() throws {
    let grace = try stopping.grace()
    try forEach(stopping.names, operation) {
      NamedResult(try supervisor.restart($0, timeout: grace))
    }
  }
}
