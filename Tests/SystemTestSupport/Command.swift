import Descriptor
import Glibc
import Synchronization

/// How a program ended, and what it wrote.
public struct CommandResult: Sendable {
  /// As a shell says it: 128 + the signal's number where a signal ended it.
  public let status: Int32
  public let outputBytes: [UInt8]
  public let errorBytes: [UInt8]
  /// It was killed because it took longer than it was given.
  public let timedOut: Bool

  public var output: String { String(decoding: outputBytes, as: UTF8.self) }
  public var errors: String { String(decoding: errorBytes, as: UTF8.self) }
}

extension CommandResult: CustomStringConvertible {
  public var description: String {
    "status \(status)\(timedOut ? " (deadline)" : "")\n--- output\n\(output)--- errors\n\(errors)"
  }
}

/// A program that runs beside the test. Its output goes to files, so that nobody has to read along.
///
/// It leads a process group of its own, which `deinit` kills.
public final class BackgroundCommand: @unchecked Sendable {
  /// Of the program as started, which is `nsenter` for one in a `PrivateHost`.
  public let pid: pid_t
  private let outputFile: OwnedFD
  private let errorFile: OwnedFD
  /// Guarded by use from one test alone.
  private var ended: Int32?

  /// - Parameter input: its standard input; nil: /dev/null.
  public init(_ arguments: [String], environment: [String] = [], input: [UInt8]? = nil) throws {
    outputFile = try Self.anonymousFile()
    errorFile = try Self.anonymousFile()
    let inputFile = try Self.anonymousFile()
    try Self.write(input ?? [], to: inputFile.rawValue)
    pid = try Self.spawn(
      arguments, environment: environment, input: input == nil ? -1 : inputFile.rawValue,
      output: outputFile.rawValue, errors: errorFile.rawValue)
  }

  deinit {
    if ended == nil {
      kill(-pid, SIGKILL)
      var status: Int32 = 0
      while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    }
  }

  /// What it has written by now.
  public var output: String { String(decoding: Self.read(outputFile.rawValue), as: UTF8.self) }
  public var errors: String { String(decoding: Self.read(errorFile.rawValue), as: UTF8.self) }

  /// Whether it runs still.
  public var isRunning: Bool {
    poll()
    return ended == nil
  }

  /// Signals the program itself: below `nsenter`, which passes nothing on, its child.
  public func signal(_ number: Int32) {
    guard ended == nil else { return }
    kill(innermost ?? pid, number)
  }

  /// Waits until it ends, and kills it after `seconds`.
  public func wait(seconds: Double) -> CommandResult {
    let deadline = MonotonicTime.now + seconds
    while isRunning, MonotonicTime.now < deadline { usleep(2000) }
    let timedOut = ended == nil
    if timedOut {
      kill(-pid, SIGKILL)
      while isRunning { usleep(1000) }
    }
    return CommandResult(
      status: ended!, outputBytes: Self.read(outputFile.rawValue),
      errorBytes: Self.read(errorFile.rawValue), timedOut: timedOut)
  }

  /// The only child, if there is one.
  private var innermost: pid_t? { ProcessTable.children(of: pid).first }

  private func poll() {
    guard ended == nil else { return }
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return }
    ended = WaitStatus.asShell(status)
  }

  // MARK: - Files and processes

  private static let fileCount = Atomic<Int>(0)

  private static func anonymousFile() throws -> OwnedFD {
    // Not mkstemp(3): a program that another test starts must not get it for a moment.
    let count = fileCount.add(1, ordering: .relaxed).newValue
    let name = "/tmp/slices-output.\(getpid()).\(count)"
    let number = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard number >= 0 else { throw SystemError(code: errno, operation: "open", subject: name) }
    unlink(name)
    return OwnedFD(adopting: number)
  }

  private static func write(_ bytes: [UInt8], to file: Int32) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      guard count > 0 else { throw SystemError(code: errno, operation: "write", subject: "input") }
      rest = rest.dropFirst(count)
    }
    lseek(file, 0, SEEK_SET)
  }

  private static func read(_ file: Int32) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = pread(file, &part, part.count, bytes.count), count > 0 {
      bytes += part[..<count]
    }
    return bytes
  }

  private static func spawn(
    _ arguments: [String], environment: [String], input: Int32, output: Int32, errors: Int32
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if input >= 0 {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Swift's threads have signals blocked or ignored.
    var everything = sigset_t()
    sigfillset(&everything)
    posix_spawnattr_setsigdefault(&attributes, &everything)
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    var argv = arguments.map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    var variables = (environment + Self.environment).map { strdup($0) } + [nil]
    defer { variables.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &variables)
    guard code == 0 else {
      throw SystemError(code: code, operation: "posix_spawn", subject: arguments[0])
    }
    return pid
  }

  private static var environment: [String] {
    [
      "PATH=\(Host.programs):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOME=/root", "LANG=C.UTF-8", "TERM=dumb",
    ]
  }
}

public enum Command {
  /// Runs a program to its end, which is forced after `timeout` seconds.
  public static func run(
    _ arguments: [String], environment: [String] = [], input: [UInt8]? = nil,
    timeout: Double = 60
  ) throws -> CommandResult {
    try BackgroundCommand(arguments, environment: environment, input: input).wait(seconds: timeout)
  }
}

/// Seconds of a clock that nobody sets.
public enum MonotonicTime {
  public static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// Waits until `condition` holds, asking every 10 ms; false if it does not within `seconds`.
public func eventually(
  within seconds: Double = 10, _ condition: () throws -> Bool
) rethrows -> Bool {
  let deadline = MonotonicTime.now + seconds
  while true {
    if try condition() { return true }
    if MonotonicTime.now > deadline { return false }
    usleep(10_000)
  }
}
