import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// A command to run in a slice that lives.
public struct ExecutionRequest: Sendable {
  /// Nil: the user's login shell.
  public var command: [String]?
  public var environment: [String]
  public var user: String?
  public var workdir: String?
  /// With one, the command gets a terminal of the slice's own; else `streams`.
  public var terminal: (rows: UInt16, columns: UInt16)?
  /// The command's 0, 1 and 2. Ignored with a terminal.
  public var streams: [SharedFD]

  public init(
    command: [String]?, environment: [String], user: String?, workdir: String?,
    terminal: (rows: UInt16, columns: UInt16)?, streams: [SharedFD]
  ) {
    self.command = command
    self.environment = environment
    self.user = user
    self.workdir = workdir
    self.terminal = terminal
    self.streams = streams
  }

  /// Refuses descriptors that would give the slice more than a stream: a directory is a way to the
  /// host's files (CVE-2024-21626), a terminal a way to type into the caller's (CVE-2017-5226), and
  /// an O_PATH descriptor names a file that could be opened anew.
  public static func check(_ stream: borrowing OwnedFD) throws(SliceError) {
    #if DEBUG
      if Mutation.current == .anyStream { return }
    #endif
    var info = stat()
    guard fstat(stream.rawValue, &info) == 0 else {
      throw SliceError(.usage, "a stream that cannot be examined was passed")
    }
    guard info.st_mode & S_IFMT != S_IFDIR, isatty(stream.rawValue) == 0,
      fcntl(stream.rawValue, F_GETFL) & kernel_path_only == 0
    else {
      throw SliceError(
        .usage, "a stream that goes into a slice must not be a directory, a terminal or a path")
    }
  }
}

/// A command that runs in a slice.
public struct Execution: Sendable {
  public let process: PidFD
  /// The terminal's master, when it has one: the caller's to use.
  public let terminal: SharedFD?
}

/// A pseudo-terminal of the slice's own devpts.
struct SliceTerminal {
  let master: SharedFD
  let slave: SharedFD

  /// - Parameters:
  ///   - process: of the slice, living.
  ///   - owner: host id of the slice's root, to which the slave is given.
  init(
    in process: PidFD, owner: UInt32, size: (rows: UInt16, columns: UInt16)
  ) throws(SystemError) {
    #if DEBUG
      let isOfHost = Mutation.current == .callersTerminal
      let root = try RootedPath(root: isOfHost ? "/" : "/proc/\(process.pid)/root")
    #else
      let root = try RootedPath(root: "/proc/\(process.pid)/root")
    #endif
    let master = try root.open("dev/pts/ptmx", O_RDWR | O_NOCTTY)
    let number = master.rawValue
    // Whatever the name led to: it must be a terminal of a devpts (CVE-2025-52565).
    var magic: Int64 = 0
    try checked("fstatfs", "dev/pts/ptmx") { kernel_file_system_magic(number, &magic) }
    guard magic == 0x1CD1 /* DEVPTS_SUPER_MAGIC */, !process.hasEnded() else {
      throw SystemError(code: ENXIO, operation: "open", subject: "dev/pts/ptmx: not a devpts")
    }
    let slave = OwnedFD(
      adopting: try checked("ioctl(TIOCGPTPEER)") { kernel_terminal_slave(number) })
    let slaveNumber = slave.rawValue
    try checked("fchown", "the terminal") { fchown(slaveNumber, owner, owner + 5) }
    try checked("ioctl(TIOCSWINSZ)") { kernel_terminal_resize(number, size.rows, size.columns) }
    self.master = SharedFD(master, label: "terminal (master)")
    self.slave = SharedFD(slave, label: "terminal")
  }
}

/// The shell of a user, from the slice's own /etc/passwd.
enum LoginShell {
  static let fallback = "/bin/sh"

  /// What the slice's files say, or the fallback: a wrong answer harms nobody but the slice.
  static func find(in process: PidFD, user: String?) -> String {
    let wanted = (user ?? "root").prefix { $0 != ":" }
    guard let root = try? RootedPath(root: "/proc/\(process.pid)/root"),
      let bytes = try? root.read("etc/passwd", limit: 1 << 20)
    else { return fallback }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      guard fields.count >= 7, fields[0] == wanted || fields[2] == wanted else { continue }
      let shell = String(fields[6])
      // An account that nobody logs in to: its owner does, who is root of the slice anyway.
      let refuses = ["nologin", "false"].contains(shell.split(separator: "/").last ?? "")
      return shell.hasPrefix("/") && !refuses && !shell.utf8.contains(0) ? shell : fallback
    }
    return fallback
  }
}
