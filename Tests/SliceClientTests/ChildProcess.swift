import Descriptor
import Glibc

/// Programs that a test starts.
enum ChildProcess {
  /// - Parameters:
  ///   - environment: beside and before a usual PATH.
  ///   - onTerminal: a terminal's path, to become descriptors 0 to 2 and, with `ownSession`, the
  ///     controlling terminal.
  static func spawn(
    _ arguments: [String], environment: [String] = [], ownSession: Bool = false,
    onTerminal path: String? = nil,
    _ prepare: (inout posix_spawn_file_actions_t) -> Void = { _ in }
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let path {
      posix_spawn_file_actions_addopen(&actions, 0, path, O_RDWR, 0)
      posix_spawn_file_actions_adddup2(&actions, 0, 1)
      posix_spawn_file_actions_adddup2(&actions, 0, 2)
    }
    prepare(&actions)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The threads of the server and of the test have signals blocked or ignored.
    var everything = sigset_t()
    sigfillset(&everything)
    posix_spawnattr_setsigdefault(&attributes, &everything)
    var nothing = sigset_t()
    sigemptyset(&nothing)
    posix_spawnattr_setsigmask(&attributes, &nothing)
    // POSIX_SPAWN_SETSID is hidden behind _GNU_SOURCE; its value is glibc's.
    let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (ownSession ? 0x80 : 0)
    posix_spawnattr_setflags(&attributes, Int16(flags))
    var argv = arguments.map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    var variables = (environment + ["PATH=/usr/bin:/bin"]).map { strdup($0) } + [nil]
    defer { variables.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, &argv, &variables)
    guard code == 0 else {
      throw SystemError(code: code, operation: "posix_spawn", subject: arguments[0])
    }
    return pid
  }

  /// - Returns: as a shell says it.
  static func wait(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) == -1, errno == EINTR {}
    return WaitStatus.asShell(status)
  }
}

/// A pseudo-terminal, seen from the side of who types.
final class PseudoTerminal: Sendable {
  let descriptor: OwnedFD
  let path: String

  init(rows: UInt16, columns: UInt16) throws(SystemError) {
    // What posix_openpt(3) and its friends do; Swift can't import them.
    descriptor = OwnedFD(
      adopting: try checked("open", "/dev/ptmx") {
        open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
      })
    var locked: Int32 = 0
    var number: Int32 = 0
    _ = ioctl(descriptor.rawValue, Self.setLock, &locked)
    _ = ioctl(descriptor.rawValue, Self.getNumber, &number)
    path = "/dev/pts/\(number)"
    resize(rows: rows, columns: columns)
  }

  /// TIOCSPTLCK and TIOCGPTN (ioctl_tty(2)).
  private static let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

  func resize(rows: UInt16, columns: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(descriptor.rawValue, UInt(TIOCSWINSZ), &size)
  }

  func type(_ text: String) { _ = write(descriptor.rawValue, text, text.utf8.count) }

  /// Reads until `text` has appeared, for at most ten seconds.
  /// - Returns: everything that was read.
  func read(until text: String) -> String {
    var seen: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while !String(decoding: seen, as: UTF8.self).contains(text) {
      var polled = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
      guard poll(&polled, 1, 10_000) == 1 else { break }
      let count = Glibc.read(descriptor.rawValue, &part, part.count)
      guard count > 0 else { break }
      seen += part[..<count]
    }
    return String(decoding: seen, as: UTF8.self)
  }

  /// Whether typed characters are echoed and lines edited.
  var isCooked: Bool {
    var settings = termios()
    let slave = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
    defer { close(slave) }
    tcgetattr(slave, &settings)
    return settings.c_lflag & UInt32(ECHO | ICANON) == UInt32(ECHO | ICANON)
  }
}
