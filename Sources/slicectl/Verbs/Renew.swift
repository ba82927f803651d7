import ArgumentParser
import SliceClient
import SliceModel

struct Renew: Verb {
  static let configuration = CommandConfiguration(
    commandName: "renew",
    abstract: "Renew the leases of slices.",
    discussion: """
      They then end so long from now. A slice that was stopped because its lease had ended may be \
      started again.

        slicectl renew web
        slicectl renew web --for 30d
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp(
      "How long from now, such as 30d. (default: as long as its lease is)", valueName: "time"))
  var length: String?

  var operation: String { "renew" }

  func perform() throws {
    let length = try length.map(TimeSpan.init(option:))
    try forEach(names, operation) { name in
      let slice = try supervisor.renew(name, for: length)
      let end = output.screen.distance(slice.lease).escapedForTerminal
      return NamedResult(text: "\(name): its lease ends \(end)", json: slice.json)
    }
  }
}
