import ArgumentParser
import Glibc
import Logging
import SliceModel
import SliceSupervisor

@main
struct Sliced: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sliced",
    abstract: "The supervisor of a node: builds, runs and removes slices.",
    discussion: """
      Runs in the foreground and logs to standard error, one line an event. Ends at SIGTERM or \
      SIGINT; the slices live on, and the next sliced takes them over. Under systemd, see \
      sliced.service. sliced(8) says more.
      """,
    version: Version.text)

  @Option(help: ArgumentHelp("Socket to listen on.", valueName: "path"))
  var socket = "/run/slices/sliced.sock"

  @Option(help: ArgumentHelp("Where records, images and logs are kept.", valueName: "directory"))
  var state = "/var/lib/slices"

  @Option(help: ArgumentHelp("Where sockets and status files live.", valueName: "directory"))
  var runtime = "/run/slices"

  @Option(
    help: ArgumentHelp(
      "Where slice-init and the other parts are; default: beside sliced, or in ../lib/slices.",
      valueName: "directory"))
  var programs: String?

  @Option(help: ArgumentHelp("The node's policy.", valueName: "file"))
  var policy = "/etc/slices/node.toml"

  @Option(
    help: ArgumentHelp(
      "Parent cgroup of the slices, below the cgroup v2 mount; default: the unit's own under systemd, else /slices.",
      valueName: "path"))
  var cgroup: String?

  func run() throws {
    // Before any thread starts, so that all inherit it: the main thread takes these itself.
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGTERM, SIGINT] { sigaddset(&signals, number) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    signal(SIGPIPE, SIG_IGN)

    var options = Supervisor.Options()
    options.socket = socket
    options.layout.state = state
    options.layout.runtime = runtime
    options.layout.programs = programs ?? Self.findPrograms()
    options.policyFile = policy
    options.cgroup = cgroup

    let logger = Logger(label: "sliced") { _ in KeyValueLogHandler() }
    let supervisor: Supervisor
    do {
      supervisor = try Supervisor(options, version: Version.text, logger: logger)
    } catch {
      logger.critical(
        "cannot-start", metadata: ["reason": "\(error.message)", "hint": "\(error.hint ?? "")"])
      throw ExitCode(error.code.exitStatus)
    }
    var received: Int32 = 0
    while sigwait(&signals, &received) != 0 {}
    supervisor.stop()
  }

  /// Beside the executable, as in a build directory, else where `make install` puts them.
  private static func findPrograms() -> String {
    var buffer = [CChar](repeating: 0, count: 4097)
    let count = readlink("/proc/self/exe", &buffer, 4096)
    guard count > 0 else { return "/usr/lib/slices" }
    let path = String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    let directory = path[..<path.lastIndex(of: "/")!]
    for candidate in ["\(directory)", "\(directory)/../lib/slices"]
    where access(candidate + "/slice-init", F_OK) == 0 {
      return candidate
    }
    return "/usr/lib/slices"
  }
}
