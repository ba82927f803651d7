import Descriptor
import Glibc

/// A terminal with a program on it, from the side of who types and reads.
public final class Terminal {
  private let master: OwnedFD
  private let slave: OwnedFD
  public let pid: pid_t
  private var status: Int32?
  /// What the program has written and `expect` not yet taken.
  public private(set) var screen: [UInt8] = []

  public init(
    _ arguments: [String], rows: UInt16 = 30, columns: UInt16 = 100, environment: [String] = []
  ) throws {
    // What posix_openpt(3) and its friends do; Swift can't import them.
    master = OwnedFD(
      adopting: try checked("open", "/dev/ptmx") {
        open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      })
    var locked: Int32 = 0
    var number: Int32 = 0
    _ = ioctl(master.rawValue, Self.setLock, &locked)
    _ = ioctl(master.rawValue, Self.getNumber, &number)
    let name = "/dev/pts/\(number)"
    // Held open, so that its settings can be looked at when the program has ended.
    slave = OwnedFD(
      adopting: try checked("open", name) { open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) })
    Self.setSize(master.rawValue, rows, columns)
    pid = try Self.spawn(arguments, environment, on: name)
  }

  deinit {
    guard status == nil else { return }
    kill(-pid, SIGKILL)
    waitpid(pid, nil, 0)
  }

  /// As if somebody typed it.
  public func type(_ text: String) { type(Array(text.utf8)) }

  public func type(_ bytes: [UInt8]) { _ = write(master.rawValue, bytes, bytes.count) }

  /// Signals the program: below `nsenter`, which passes nothing on, its child.
  public func signal(_ number: Int32) {
    kill(ProcessTable.children(of: pid).first ?? pid, number)
  }

  public func resize(rows: UInt16, columns: UInt16) { Self.setSize(master.rawValue, rows, columns) }

  /// Waits until `text` has been written, and takes all up to its end.
  @discardableResult
  public func expect(_ text: String, within seconds: Double = 20) throws -> String {
    let wanted = Array(text.utf8)
    let deadline = MonotonicTime.now + seconds
    while true {
      if let range = screen.firstRange(of: wanted) {
        defer { screen.removeSubrange(..<range.upperBound) }
        return String(decoding: screen[..<range.lowerBound], as: UTF8.self)
      }
      guard MonotonicTime.now < deadline, read(within: 100) else {
        throw HarnessError(
          "'\(text)' did not come; there is: \(String(decoding: screen, as: UTF8.self))")
      }
    }
  }

  /// Types a line, and takes what comes until the next prompt.
  public func run(_ line: String, prompt: String = "# ") throws -> String {
    type(line + "\r")
    try expect("\n")  // the echo
    return try expect(prompt)
  }

  /// Reads to the end; the exit status as a shell says it.
  public func end(within seconds: Double = 20) throws -> Int32 {
    let deadline = MonotonicTime.now + seconds
    var raw: Int32 = 0
    while waitpid(pid, &raw, WNOHANG) != pid {
      guard MonotonicTime.now < deadline else { throw HarnessError("the program does not end") }
      _ = read(within: 20)
    }
    while read(within: 0) {}
    let code = WaitStatus.asShell(raw)
    status = code
    return code
  }

  /// Input, output, control and local modes.
  public var modes: [UInt32] {
    var settings = termios()
    tcgetattr(slave.rawValue, &settings)
    return [settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag]
  }

  // MARK: -

  /// True while there may be more.
  private func read(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: master.rawValue, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, milliseconds) > 0 else { return milliseconds > 0 }
    var part = [UInt8](repeating: 0, count: 1 << 16)
    let count = Glibc.read(master.rawValue, &part, part.count)
    guard count > 0 else { return false }
    screen += part[..<count]
    return true
  }

  private static func setSize(_ terminal: Int32, _ rows: UInt16, _ columns: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(terminal, UInt(TIOCSWINSZ), &size)
  }

  /// TIOCSPTLCK and TIOCGPTN (ioctl_tty(2)).
  private static let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

  /// In a session of its own, whose first terminal to be opened becomes the controlling one.
  private static func spawn(
    _ arguments: [String], _ more: [String], on path: String
  ) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, 0, 1)
    posix_spawn_file_actions_adddup2(&actions, 0, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var everything = sigset_t()
    sigfillset(&everything)
    posix_spawnattr_setsigdefault(&attributes, &everything)
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    // POSIX_SPAWN_SETSID is hidden behind _GNU_SOURCE; its value is glibc's.
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | 0x80))
    var argv = arguments.map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    let environment = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"] + more
    var variables = environment.map { strdup($0) } + [nil]
    defer { variables.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &variables)
    guard code == 0 else {
      throw SystemError(code: code, operation: "posix_spawn", subject: arguments[0])
    }
    return pid
  }
}
