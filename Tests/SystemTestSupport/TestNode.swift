import Descriptor
import Glibc
import SliceModel
import Synchronization

/// See `TestNode.prepared`.
private let preparedPath = Mutex<String?>(nil)

/// A node of the test's own: the real sliced with its own state, in a `PrivateHost`.
///
/// Use `withNode`, which takes it down whatever happens and finds what was left behind.
public final class TestNode: Sendable {
  public struct Options: Sendable {
    /// Text of node.toml.
    public var policy: String
    /// Words before sliced in its command line: a program that runs it on a kernel that lacks
    /// something.
    public var wrapper: [String] = []
    /// Where the state lies.
    public var storage: Storage = .directory

    public enum Storage: Sendable {
      case directory
      /// A small file system of its own, in MiB: ext4 on a loop device.
      case ext4(megabytes: Int)
      /// The same with project quotas.
      case quotas(megabytes: Int)
      case tmpfs(megabytes: Int)
    }

    /// - Parameter allowUnenforced: whether slices may have limits that this host does not hold;
    ///   by default only where it does not.
    public init(allowUnenforced: Bool = !Host.enforcesLimits, policy: String = "") {
      self.policy = "allow-unenforced = \(allowUnenforced)\n" + policy
    }
  }

  public let host: PrivateHost
  /// Holds everything of this node: state, run, sock, node.toml, sliced.log.
  public let directory: String
  /// Absolute path of the cgroup that is parent of the slices'.
  public let cgroup: String
  private let options: Options
  private let supervisor = Mutex<BackgroundCommand?>(nil)
  private static let counter = Atomic<Int>(0)

  public var socket: String { directory + "/sock" }
  public var state: String { directory + "/state" }
  public var runtime: String { directory + "/run" }
  public var log: String { HostFiles.text(directory + "/sliced.log") }

  public convenience init(_ options: Options = Options()) throws {
    try self.init(options, copying: try Self.prepared.get())
  }

  /// - Parameter template: a state directory to start with.
  private init(_ options: Options, copying template: String?) throws {
    if let obstacle = Host.obstacle { throw HarnessError(obstacle) }
    self.options = options
    let number = Self.counter.add(1, ordering: .relaxed).newValue
    cgroup = "\(Host.cgroupMount!)/slices-test-\(getpid())-\(number)"
    var path = Array("\(Host.stateDirectory!)/slices-test.XXXXXX".utf8CString)
    guard mkdtemp(&path) != nil else { throw SystemError(code: errno, operation: "mkdtemp") }
    directory = String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    chmod(directory, 0o755)
    host = try PrivateHost()
    try HostFiles.write(options.policy, to: directory + "/node.toml")
    try prepareStorage(template)
    try startSupervisor()
  }

  /// The state of a node that was started once and holds nothing but the images that are always
  /// there: making them takes most of a first start. Removed when this process ends.
  private static let prepared = Result<String, any Error> {
    let node = try TestNode(Options(), copying: nil)
    defer { node.remove() }
    node.stopSupervisor()
    // An image of the storage, if there is one, must be at rest.
    _ = try node.host.run(["sh", "-c", "umount '\(node.state)/storage' 2>/dev/null; sync"])
    let copy = node.directory + ".state"
    let result = try Command.run(["cp", "-a", node.state, copy])
    guard result.status == 0 else { throw HarnessError("copy of a state: \(result)") }
    preparedPath.withLock { $0 = copy }
    atexit {
      if let path = preparedPath.withLock({ $0 }) { _ = try? Command.run(["rm", "-rf", path]) }
    }
    return copy
  }

  private func prepareStorage(_ template: String?) throws {
    mkdir(state, 0o711)
    let script: String
    switch options.storage {
    case .directory:
      guard let template else { return }
      script = "cp -a '\(template)/.' '\(state)/'"
    case .tmpfs(let size): script = "mount -t tmpfs -o mode=711,size=\(size)m state '\(state)'"
    case .ext4(let size): script = mountDisk(size, "", "loop")
    case .quotas(let size):
      script = mountDisk(size, "-O quota,project -E quotatype=prjquota", "loop,prjquota")
    }
    let result = try host.run(["sh", "-c", script])
    guard result.status == 0 else { throw HarnessError("storage of the node: \(result)") }
  }

  private func mountDisk(_ size: Int, _ making: String, _ mounting: String) -> String {
    """
    truncate -s \(size)M '\(directory)/disk' \
    && mke2fs -q -F -t ext4 -m 0 \(making) '\(directory)/disk' \
    && mount -o \(mounting) '\(directory)/disk' '\(state)'
    """
  }

  // MARK: - The supervisor

  /// Starts sliced and waits until it serves.
  public func startSupervisor() throws {
    let log = directory + "/sliced.log"
    // A shell opens the log, so that it goes on through a restart.
    let command = try host.start(
      [
        "sh", "-c", "exec \"$@\" 2>>'\(log)'", "sh",
      ] + options.wrapper + [
        Host.programs + "/sliced", "--state", state, "--runtime", runtime, "--socket", socket,
        "--policy", directory + "/node.toml", "--cgroup",
        String(cgroup.dropFirst(Host.cgroupMount!.count)),
      ])
    supervisor.withLock { $0 = command }
    let answers = eventually(within: 30) {
      !command.isRunning || (try? slicectl("list").status) == 0
    }
    guard answers, command.isRunning else {
      throw HarnessError("sliced does not serve:\n\(self.log)")
    }
  }

  /// SIGTERM, and its exit status. Slices live on.
  @discardableResult
  public func stopSupervisor() -> Int32? { endSupervisor(SIGTERM) }

  /// SIGKILL, as a crash. Slices live on.
  public func crashSupervisor() { endSupervisor(SIGKILL) }

  @discardableResult
  private func endSupervisor(_ signal: Int32) -> Int32? {
    let command = supervisor.withLock { supervisor in
      defer { supervisor = nil }
      return supervisor
    }
    guard let command else { return nil }
    command.signal(signal)
    return command.wait(seconds: 20).status
  }

  /// How sliced ended though no test ended it, with the last words of the kernel, which knows of
  /// faults and of who was killed for memory; empty while it runs.
  fileprivate var unexpectedEnd: String {
    guard let command = supervisor.withLock({ $0 }), !command.isRunning else { return "" }
    let kernel = (try? Command.run(["dmesg"]).output) ?? ""
    let last = kernel.split(separator: "\n").suffix(20).joined(separator: "\n")
    return "--- sliced ended by itself, status \(command.wait(seconds: 0).status)"
      + "\n--- the kernel's log\n\(last)\n"
  }

  /// Of sliced, in the private host's PID namespace.
  public var supervisorPID: pid_t? {
    guard supervisor.withLock({ $0 != nil }) else { return nil }
    return ProcessTable.pids(proc: host.proc).first {
      HostFiles.text("\(host.proc)/\($0)/comm") == "sliced\n"
    }
  }

  // MARK: - Its clients

  /// Command line of slicectl for this node, inside its private host: for a terminal's program too.
  public func slicectlCommand(_ arguments: [String], as user: TestUser = .root) -> [String] {
    host.command([Host.programs + "/slicectl", "--socket", socket] + arguments, as: user)
  }

  @discardableResult
  public func slicectl(
    _ arguments: String..., as user: TestUser = .root, environment: [String] = [],
    input: String? = nil, timeout: Double = 60
  ) throws -> CommandResult {
    try slicectl(
      arguments, as: user, environment: environment, input: input, timeout: timeout)
  }

  @discardableResult
  public func slicectl(
    _ arguments: [String], as user: TestUser = .root, environment: [String] = [],
    input: String? = nil, timeout: Double = 60
  ) throws -> CommandResult {
    try Command.run(
      slicectlCommand(arguments, as: user), environment: environment,
      input: input.map { Array($0.utf8) }, timeout: timeout)
  }

  /// As `slicectl`, for what must succeed: throws with everything that it printed otherwise.
  @discardableResult
  public func succeed(
    _ arguments: String..., as user: TestUser = .root, input: String? = nil, timeout: Double = 60
  ) throws -> String {
    let result = try slicectl(arguments, as: user, input: input, timeout: timeout)
    guard result.status == 0 else {
      throw HarnessError("slicectl \(arguments.joined(separator: " ")): \(result)")
    }
    return result.output
  }

  /// The JSON value that a verb prints.
  public func json(_ arguments: String..., as user: TestUser = .root) throws -> JSONValue {
    let result = try slicectl(["--json"] + arguments, as: user)
    guard result.status == 0 else {
      throw HarnessError("slicectl --json \(arguments.joined(separator: " ")): \(result)")
    }
    return try JSONValue(parsing: result.outputBytes)
  }

  /// Runs a command in a slice: what it prints on standard output, less the last newline.
  public func execute(_ slice: String, _ command: String...) throws -> String {
    let result = try slicectl(["exec", slice, "--"] + command)
    guard result.status == 0 else {
      throw HarnessError("exec \(slice) \(command.joined(separator: " ")): \(result)")
    }
    return result.output.hasSuffix("\n") ? String(result.output.dropLast()) : result.output
  }

  public func start(
    _ arguments: String..., as user: TestUser = .root, input: String? = nil
  ) throws -> BackgroundCommand {
    try BackgroundCommand(
      slicectlCommand(arguments, as: user), input: input.map { Array($0.utf8) })
  }

  /// The state that `list` shows; nil when there is no such slice.
  public func state(of slice: String) throws -> String? {
    try json("list").array?.first { $0["name"].string == slice }?["state"].string
  }

  /// Waits until a slice is in a state.
  public func reaches(_ state: String, _ slice: String, within seconds: Double = 15) throws -> Bool
  {
    try eventually(within: seconds) { try self.state(of: slice) == state }
  }

  // MARK: - What is there

  /// What there is now. Links that are going, and those that are being made for the next slices, come
  /// and go by themselves: see `resources`.
  private func look() -> ResourceCount {
    ResourceCount(
      host: host, supervisor: supervisorPID, cgroup: cgroup, directories: [state, runtime])
  }

  /// What there is more or less than `earlier`, after some time to settle; empty: nothing.
  public func change(since earlier: ResourceCount, within seconds: Double = 10) -> String {
    _ = eventually(within: seconds) { look().difference(from: earlier).isEmpty }
    return look().difference(from: earlier)
  }

  /// What there is once nothing changes any more: sliced takes a moment to close connections, to see
  /// the links of former slices go, and to have as many ready for new ones as it should.
  public func resources() -> ResourceCount {
    var last = look()
    var equal = 0
    _ = eventually(within: 10) {
      usleep(50_000)
      let now = look()
      equal = now == last ? equal + 1 : 0
      last = now
      return equal >= 3 && now.linksOfSlices >= leastLinks
    }
    return last
  }

  /// How many links there are at least, once those for the next slices are ready; 0 where the policy
  /// says something about their number.
  private var leastLinks: Int {
    ["ready", "ranges", "pool4"].contains { options.policy.contains("\n" + $0) } ? 0 : 8
  }

  // MARK: - End

  /// Ends everything of this node, without asking the supervisor.
  public func remove() {
    host.remove()
    supervisor.withLock { $0 = nil }
    _ = eventually(within: 10) {
      try? HostFiles.write("1", to: cgroup + "/cgroup.kill")
      let groups = HostFiles.tree(cgroup).filter(HostFiles.isDirectory) + [cgroup]
      for path in groups.reversed() { rmdir(path) }
      return !HostFiles.exists(cgroup)
    }
    _ = try? Command.run(["rm", "-rf", "--one-file-system", directory])
  }
}

/// Runs `body` with a node of its own, and takes the node down.
///
/// When `body` is through, all slices are destroyed, by the verb, and what remains beyond what was
/// there before is an error.
public func withNode(
  _ options: TestNode.Options = .init(), checkLeftovers: Bool = true,
  _ body: (TestNode) throws -> Void
) throws {
  let node = try TestNode(options)
  defer { node.remove() }
  let before = node.resources()
  do {
    try body(node)
  } catch {
    throw HarnessError("\(error)\n--- sliced's log\n\(node.log)\(node.unexpectedEnd)")
  }
  guard checkLeftovers else { return }
  let names = try node.json("list").array?.compactMap { $0["name"].string } ?? []
  if !names.isEmpty {
    let result = try node.slicectl(["destroy", "--force"] + names)
    guard result.status == 0 else { throw HarnessError("destroy at the end: \(result)") }
  }
  let left = node.change(since: before)
  guard left.isEmpty else {
    throw HarnessError("left behind:\n\(left)\n--- sliced's log\n\(node.log)")
  }
}

extension JSONValue {
  /// Names of the members of an object.
  public var keys: Set<String> {
    if case .object(let members) = self { Set(members.keys) } else { [] }
  }
}
