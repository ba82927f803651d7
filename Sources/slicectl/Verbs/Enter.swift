import ArgumentParser
import Glibc
import SliceClient
import SliceInterface
import SliceModel

struct Enter: Verb {
  static let configuration = CommandConfiguration(
    commandName: "enter",
    abstract: "Open a shell inside a slice.",
    discussion: """
      On a terminal: with job control, and a size that follows the window. Otherwise the shell reads \
      its commands from standard input. Gives the shell's exit status.

        slicectl enter web
        slicectl enter web --user www-data
        slicectl enter web < script.sh
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Option(
    name: [.customShort("u"), .long],
    help: "USER, UID, USER:GROUP or UID:GID, as the image knows them. (default: root)")
  var user: String?

  var operation: String { "enter \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    if let user { try SliceSpec.validate(user: user) }
    let session = CommandSession(supervisor: supervisor)
    var parameters = ExecuteCall.Parameters(
      name: name.text, command: nil, environment: [], user: user, workdir: nil, terminal: nil)
    if let terminal = LocalTerminal(STDIN_FILENO) {
      parameters.environment = LocalTerminal.environment
      throw exitCode(of: try session.runOnTerminal(parameters, terminal: terminal))
    }
    throw exitCode(of: try session.run(parameters, input: .caller))
  }
}
