import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

/// The command line as a whole. To add a verb: a file in Verbs/, and its type in the list here.
///
/// Every verb says its name: for one that doesn't, the parser describes its type, for which the Swift
/// runtime goes through all conformances of the program. That was 40 % of every start.
struct Slicectl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "slicectl",
    abstract: "Create, run and look after slices: small virtual machines for network services.",
    discussion: """
      A first session:

        slicectl create web --image host --set memory.max=256M -- \\
            python3 -m http.server 8080
        slicectl list
        slicectl enter web
        slicectl logs -f web
        slicectl destroy --force web

      'slicectl doctor' tells what this host can enforce. slicectl(1) and slice.toml(5) say more.

      Exit statuses: 0 done; 1 failed; 2 wrong usage; 3 no such slice; 4 refused by policy or \
      permission; 5 this host cannot enforce what was asked; 6 the supervisor does not answer; \
      7 timed out. exec, enter and wait give the command's own status.
      """,
    version: "slicectl \(Version.text)",
    groupedSubcommands: [
      CommandGroup(
        name: "Life cycle",
        subcommands: [
          Create.self, Start.self, Stop.self, Restart.self, Kill.self, Pause.self, Resume.self,
          SetKeys.self, Renew.self, Destroy.self, StopAll.self,
        ]),
      CommandGroup(name: "Inside", subcommands: [Enter.self, Exec.self]),
      CommandGroup(
        name: "Looking",
        subcommands: [
          List.self, Inspect.self, Shares.self, Top.self, Metrics.self, Offers.self, Logs.self,
          Events.self, Flows.self, Wait.self,
        ]),
      CommandGroup(name: "Network", subcommands: [Overlay.self, Capture.self, Traffic.self]),
      CommandGroup(
        name: "Images and host", subcommands: [Image.self, Doctor.self, Conformance.self]),
    ])

  // Here as well as in every verb: so they may stand before the verb too.
  @OptionGroup(title: "Global options") var global: GlobalOptions
}

/// The options of every verb.
struct GlobalOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Where the supervisor listens.", valueName: "path"), completion: .file())
  var socket = SliceInterface.defaultSocket

  @Flag(help: "Print one JSON value instead of text; errors as JSON too.")
  var json = false

  @Flag(name: [.customShort("q"), .long], help: "Print no more than names, or nothing.")
  var quiet = false

  var supervisor: Supervisor { Supervisor(socketPath: socket) }

  var output: Output {
    Output(format: json ? .json : quiet ? .quiet : .text, screen: Screen.standardOutput)
  }
}
