import Descriptor
import Glibc

/// A network, mount, PID and IPC namespace of the test's own on this machine: what a supervisor does in
/// it touches nothing outside, and all its processes end with it, slices included.
public final class PrivateHost: Sendable {
  /// PID 1 of it, as this machine numbers it: a shell that reaps.
  public let initProcess: pid_t
  /// Lines of its mountinfo from its beginning: copies of the machine's mounts, which come to an end
  /// when the machine removes what they are mounted on.
  let copiedMounts: Set<String>
  private let holder: BackgroundCommand

  public init() throws {
    holder = try BackgroundCommand([
      "unshare", "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc",
      "sh", "-c",
      // dash collects whatever child ends while it waits for its own, adopted ones too.
      "ip link set lo up && echo ready; while sleep 3600; do :; done",
    ])
    guard eventually(within: 60, { [holder] in holder.output.contains("ready") }),
      let child = ProcessTable.children(of: holder.pid).first
    else {
      throw HarnessError("no private namespaces: \(holder.wait(seconds: 0))")
    }
    initProcess = child
    copiedMounts = Set(HostFiles.lines("/proc/\(child)/mountinfo"))
  }

  /// Its own /proc, seen from outside.
  public var proc: String { "/proc/\(initProcess)/root/proc" }

  /// The command line that runs `arguments` inside, as `user`.
  public func command(_ arguments: [String], as user: TestUser = .root) -> [String] {
    ["nsenter", "--target", "\(initProcess)", "--net", "--mount", "--pid", "--ipc", "--"]
      + user.prefix
      + arguments
  }

  /// Runs a program inside, to its end.
  public func run(
    _ arguments: [String], as user: TestUser = .root, environment: [String] = [],
    input: [UInt8]? = nil, timeout: Double = 60
  ) throws -> CommandResult {
    try Command.run(
      command(arguments, as: user), environment: environment, input: input, timeout: timeout)
  }

  public func start(
    _ arguments: [String], as user: TestUser = .root, environment: [String] = [],
    input: [UInt8]? = nil
  ) throws -> BackgroundCommand {
    try BackgroundCommand(command(arguments, as: user), environment: environment, input: input)
  }

  /// Ends every process in it. Once it has ended, its number may be another's: it is not killed again.
  public func remove() {
    guard holder.isRunning else { return }
    kill(initProcess, SIGKILL)
    _ = holder.wait(seconds: 10)
  }

  deinit { remove() }
}

/// Who runs a command. The numbers need no entry in the host's files.
public struct TestUser: Sendable, Hashable {
  public var user: UInt32
  public var groups: [UInt32]

  public init(_ user: UInt32, groups: [UInt32] = []) {
    self.user = user
    self.groups = groups
  }

  public static let root = TestUser(0)
  public static let alice = TestUser(4242)
  public static let bob = TestUser(4243)

  fileprivate var prefix: [String] {
    guard user != 0 else { return [] }
    let supplementary = groups.map(String.init).joined(separator: ",")
    return ["setpriv", "--reuid", "\(user)", "--regid", "\(user)"]
      + (groups.isEmpty ? ["--clear-groups"] : ["--groups", supplementary]) + ["--"]
  }
}

/// The test's own means failed, not what it tests.
public struct HarnessError: Error, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
