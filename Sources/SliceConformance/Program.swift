import Descriptor
import Glibc

/// A program that the suite runs to its end, which is forced when it takes too long or the suite is
/// interrupted.
struct Program {
  struct Result: Sendable {
    /// As a shell says it: 128 + the signal's number where a signal ended it.
    let status: Int32
    let output: String
    let errors: String

    /// The first line of its errors, for a verdict.
    var complaint: String {
      errors.split(separator: "\n").first.map(String.init) ?? "it ended with status \(status)"
    }
  }

  /// Whether it gets a terminal of its own as standard input and output.
  var terminal = false
  var environment: [String] = []

  /// - Parameters:
  ///   - seconds: after which it is killed, and the call throws.
  ///   - interruption: nil for what must come to its end, so that what it makes is known.
  func run(
    _ arguments: [String], seconds: Double, interruption: Interruption?
  ) throws -> Result {
    let running = try RunningProgram(arguments, terminal: terminal, environment: environment)
    defer { running.end() }
    try running.collect(until: Clock.now + seconds, interruption)
    return Result(status: running.wait(), output: running.text(0), errors: running.text(1))
  }
}

/// A program with its output read along. Not for several threads.
final class RunningProgram {
  private let pid: pid_t
  /// Its number on the host.
  var processID: Int32 { pid }
  private let name: String
  private var descriptors: [Int32]
  private var texts: [[UInt8]] = [[], []]
  private var status: Int32?

  init(_ arguments: [String], terminal: Bool = false, environment: [String] = []) throws {
    name = arguments.joined(separator: " ")
    let errors = try Self.pipe()
    defer { close(errors.writing) }
    let output = terminal ? try Self.openTerminal() : try Self.pipe()
    defer { close(output.writing) }
    descriptors = [output.reading, errors.reading]
    pid = try Self.spawn(
      arguments, environment, input: terminal ? output.writing : nil, output: output.writing,
      errors: errors.writing)
  }

  deinit { end() }

  func text(_ stream: Int) -> String { String(decoding: texts[stream], as: UTF8.self) }

  /// Reads until both streams end, or one contains `word`: standard output, or as `stream` says.
  func collect(
    until deadline: Double, waitingFor word: String? = nil, in stream: Int = 0,
    _ interruption: Interruption?
  ) throws {
    while descriptors.contains(where: { $0 >= 0 }) {
      try interruption?.check()
      if let word, text(stream).contains(word) { return }
      let left = deadline - Clock.now
      guard left > 0 else { throw SuiteError("no end of '\(name)' in time") }
      // A signal for the suite is looked for every now and then.
      var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
      poll(&polled, 2, Int32(min(left, 0.2) * 1000) + 1)
      for stream in 0...1 where polled[stream].revents != 0 { read(stream) }
    }
  }

  private func read(_ stream: Int) {
    var part = [UInt8](repeating: 0, count: 1 << 16)
    let count = Glibc.read(descriptors[stream], &part, part.count)
    if count > 0 {
      texts[stream] += part[..<count]
    } else if count == 0 || errno != EINTR {  // EIO: nobody has the terminal open any more
      close(descriptors[stream])
      descriptors[stream] = -1
    }
  }

  /// Waits for its end.
  func wait() -> Int32 {
    if let status { return status }
    var raw: Int32 = 0
    while waitpid(pid, &raw, 0) == -1, errno == EINTR {}
    let ended = WaitStatus.asShell(raw)
    status = ended
    return ended
  }

  /// Asks it to end, as Ctrl-C does.
  func interrupt() { kill(pid, SIGINT) }

  /// Ends it by SIGTERM, after two seconds by SIGKILL. Fine when it has ended.
  func end() {
    if status == nil {
      kill(pid, SIGTERM)
      let deadline = Clock.now + 2
      var raw: Int32 = 0
      while waitpid(pid, &raw, WNOHANG) == 0 {
        if Clock.now > deadline { kill(pid, SIGKILL) }
        usleep(5000)
      }
      status = WaitStatus.asShell(raw)
    }
    for stream in 0...1 where descriptors[stream] >= 0 {
      close(descriptors[stream])
      descriptors[stream] = -1
    }
  }

  private static func pipe() throws(SystemError) -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    try checked("pipe") { Glibc.pipe(&ends) }
    for end in ends { try checked("fcntl(F_SETFD)") { fcntl(end, F_SETFD, FD_CLOEXEC) } }
    return (ends[0], ends[1])
  }

  private static func openTerminal() throws(SystemError) -> (reading: Int32, writing: Int32) {
    let master = try checked("open", "/dev/ptmx") {
      open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    }
    do throws(SystemError) {
      // As unlockpt(3) and ptsname(3) do, which Swift can't import (ioctl_tty(2): TIOCSPTLCK, TIOCGPTN).
      var lock: Int32 = 0
      var number: Int32 = 0
      try checked("ioctl(TIOCSPTLCK)") { ioctl(master, 0x4004_5431, &lock) }
      try checked("ioctl(TIOCGPTN)") { ioctl(master, 0x8004_5430, &number) }
      let name = "/dev/pts/\(number)"
      return (master, try checked("open", name) { open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) })
    } catch {
      close(master)
      throw error
    }
  }

  private static func spawn(
    _ arguments: [String], _ environment: [String], input: Int32?, output: Int32, errors: Int32
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, 0)
    } else {
      posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The suite's own signals are blocked; a session of its own keeps Ctrl-C for the suite.
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    let newSession: Int32 = 0x80  // POSIX_SPAWN_SETSID
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | newSession))
    var vector = arguments.map { strdup($0) } + [nil]
    defer { vector.forEach { free($0) } }
    let standard = [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb",
    ]
    var variables = (standard + environment + mutation).map { strdup($0) } + [nil]
    defer { variables.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, arguments[0], &actions, &attributes, &vector, &variables)
    guard code == 0 else {
      throw SystemError(code: code, operation: "posix_spawn", subject: arguments[0])
    }
    return pid
  }
}

#if DEBUG
  /// What the client is to leave out (Mutation.swift), for the suite's own tests.
  private let mutation =
    getenv("SLICES_MUTATION").map { ["SLICES_MUTATION=" + String(cString: $0)] } ?? []
#else
  private let mutation: [String] = []
#endif

/// Seconds of a clock that nobody sets.
enum Clock {
  static var now: Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// The suite's own means failed: nothing is said of what it tests.
struct SuiteError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Whether somebody wants the suite to end.
public final class Interruption {
  private let next: () -> Int32?
  /// The signal that came.
  public private(set) var signal: Int32?
  private var isIgnored = false

  /// - Parameter next: the next signal that waits for this process, nil when none does.
  public init(next: @escaping () -> Int32?) { self.next = next }

  struct Interrupted: Error {}

  func check() throws {
    if signal == nil { signal = next() }
    if signal != nil, !isIgnored { throw Interrupted() }
  }

  /// From now on the suite only cleans up, which nobody should interrupt.
  func ignore() { isIgnored = true }
}
