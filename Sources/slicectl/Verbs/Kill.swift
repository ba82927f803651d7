import ArgumentParser
import SliceClient
import SliceModel

struct Kill: Verb {
  static let configuration = CommandConfiguration(
    commandName: "kill",
    abstract: "Send a signal to the service of slices.",
    discussion: """
      A signal is a name, with or without SIG, or a number.

        slicectl kill --signal HUP web
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slices.", completion: Completions.slices)
  var names: [String]

  @Option(name: [.customShort("s"), .long], help: "Which signal.", completion: Completions.signals)
  var signal = "TERM"

  var operation: String { "kill" }

  func perform() throws {
    guard let number = SignalNames.number(signal) else {
      throw SliceError(
        .usage, "'\(signal.escapedForTerminal)' is not a signal",
        hint: "write TERM, SIGTERM or 15; signal(7) lists them")
    }
    try forEach(names, operation) { name in
      try supervisor.kill(name, signal: number)
      return NamedResult(
        text: "\(name): sent \(SignalNames.name(number))",
        json: .object(["name": .string(name.text), "signal": JSONValue(number)]))
    }
  }
}
