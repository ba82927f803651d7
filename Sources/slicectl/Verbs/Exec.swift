import ArgumentParser
import Glibc
import SliceClient
import SliceInterface
import SliceModel

struct Exec: Verb {
  static let configuration = CommandConfiguration(
    commandName: "exec",
    abstract: "Run a command inside a slice.",
    discussion: """
      Its output and its exit status are slicectl's: 128 + the signal's number where a signal ended \
      it, 125 to 127 where it never ran. The signals INT, TERM, HUP, QUIT, USR1, USR2 and WINCH \
      that slicectl gets are passed on.

        slicectl exec web -- ps ax
        tar c site | slicectl exec web -i -- tar xC /srv
        slicectl exec web -it -- top
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Flag(name: [.short, .long], help: "Pass standard input to it; otherwise it reads nothing.")
  var interactive = false

  @Flag(name: [.customShort("t"), .customLong("tty")], help: "Give it a terminal; needs one here.")
  var terminal = false

  @Option(
    name: [.customShort("u"), .long],
    help: "USER, UID, USER:GROUP or UID:GID, as the image knows them. (default: root)")
  var user: String?

  @Option(
    name: [.customShort("e"), .long],
    help: ArgumentHelp("A variable for the command.", valueName: "name=value"))
  var env: [String] = []

  @Option(
    name: [.customShort("w"), .long],
    help: ArgumentHelp("Where it starts, inside the slice.", valueName: "directory"))
  var workdir: String?

  @Argument(parsing: .postTerminator, help: "The command, after '--'.")
  var command: [String]

  var operation: String { "exec \(name.escapedForTerminal)" }

  func perform() throws {
    let session = CommandSession(supervisor: supervisor)
    var parameters = try parameters()
    #if DEBUG
      if Mutation.current == .callersVariables {
        parameters.environment +=
          getenv("SLICE_PROBE_SECRET").map {
            ["SLICE_PROBE_SECRET=" + String(cString: $0)]
          } ?? []
      }
    #endif
    guard terminal else {
      throw exitCode(of: try session.run(parameters, input: interactive ? .caller : .nothing))
    }
    guard let local = LocalTerminal(STDIN_FILENO) else {
      throw SliceError(
        .usage, "standard input is not a terminal, which --tty needs", hint: "leave -t out")
    }
    let inherited = LocalTerminal.environment.filter { entry in
      let name = entry.prefix { $0 != "=" } + "="
      return !env.contains { $0.hasPrefix(name) }
    }
    parameters.environment = inherited + env
    throw exitCode(of: try session.runOnTerminal(parameters, terminal: local))
  }

  private func parameters() throws(SliceError) -> ExecuteCall.Parameters {
    let name = try SliceName(name)
    try SliceSpec.validate(command: command)
    try SliceSpec.validate(environment: env)
    if let user { try SliceSpec.validate(user: user) }
    if let workdir { try SliceSpec.validate(workdir: workdir) }
    return ExecuteCall.Parameters(
      name: name.text, command: command, environment: env, user: user, workdir: workdir,
      terminal: nil)
  }
}
