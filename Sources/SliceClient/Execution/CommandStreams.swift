import Descriptor
import Glibc
import SliceModel

/// What becomes the descriptors 0, 1 and 2 of a command inside a slice.
///
/// The caller's terminal never does: with it a slice could type into the caller's shell
/// (TIOCSTI, TIOCLINUX). Nor does a directory, from which it could walk the host's files.
struct CommandStreams {
  /// To be sent; closed when nothing refers to them any more.
  var passed: [Endpoint] = []
  private(set) var input: Relay?
  private(set) var outputs: [Relay] = []

  init(input: CommandSession.Input) throws(SliceError) {
    do {
      try add(STDIN_FILENO, Self.treatment(of: STDIN_FILENO, isWanted: input == .caller))
      for number in [STDOUT_FILENO, STDERR_FILENO] {
        try add(number, Self.treatment(of: number, isWanted: true))
      }
    } catch {
      throw SliceError(.failed, "cannot prepare the command's streams: \(error)")
    }
  }

  private mutating func add(_ number: Int32, _ treatment: Treatment) throws(SystemError) {
    let isInput = number == STDIN_FILENO
    switch treatment {
    case .pass:
      passed.append(Endpoint(borrowing: number))
    case .null:
      passed.append(try Self.null(isInput: isInput))
    case .relay:
      let pipe = try Endpoint.pipe()
      let own = Endpoint(borrowing: number)
      try (isInput ? pipe.writing : pipe.reading).makeNonBlocking()
      passed.append(isInput ? pipe.reading : pipe.writing)
      if isInput {
        input = Relay(from: own, to: pipe.writing)
      } else {
        outputs.append(Relay(from: pipe.reading, to: own))
      }
    }
  }

  private enum Treatment { case pass, relay, null }

  private static func treatment(of number: Int32, isWanted: Bool) -> Treatment {
    var status = stat()
    guard isWanted, fstat(number, &status) == 0 else { return .null }
    if status.st_mode & S_IFMT == S_IFDIR { return .relay }
    return isTerminal(number, status) ? .relay : .pass
  }

  /// isatty(3) fails on a terminal that has hung up; its major number still tells. 4: consoles and
  /// serial lines; 5: /dev/tty, /dev/console, /dev/ptmx; 136-143: pseudo-terminals
  /// (Documentation/admin-guide/devices.txt).
  private static func isTerminal(_ number: Int32, _ status: stat) -> Bool {
    let major = (status.st_rdev >> 8) & 0xFFF
    return isatty(number) == 1
      || (status.st_mode & S_IFMT == S_IFCHR && (major == 4 || major == 5 || 136...143 ~= major))
  }

  private static func null(isInput: Bool) throws(SystemError) -> Endpoint {
    let flags = (isInput ? O_RDONLY : O_WRONLY) | O_CLOEXEC
    return Endpoint(
      OwnedFD(adopting: try checked("open", "/dev/null") { open("/dev/null", flags) }))
  }
}
