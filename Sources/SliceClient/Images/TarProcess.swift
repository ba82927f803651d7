import Descriptor
import Glibc
import SliceModel
import Synchronization
import Varlink

/// A tar(1) that archives a directory, with the caller's own rights, into a pipe that the
/// supervisor reads: so that sees nothing that the caller couldn't read.
///
/// The reader must not take a tree of which tar had to leave files out for a whole one. So this
/// process holds the pipe's writing end too, and lets it go, which is how the reader learns that
/// the archive is complete, only when tar has succeeded.
final class TarProcess: Sendable {
  private let pid: pid_t
  private let messages: Endpoint
  private let archive: Mutex<Endpoint?>
  private let writing: Mutex<Endpoint?>
  private let failure = Mutex<SliceError?>(nil)
  /// At its end once the watching thread has done its work.
  private let ended: Endpoint
  private let endOfWatch: Mutex<Endpoint?>

  /// Starts it.
  static func start(directory: String) throws(SliceError) -> TarProcess {
    do {
      let (archive, writing) = try Endpoint.pipe()
      let (messages, complaints) = try Endpoint.pipe()
      let pid = try spawn(directory, output: writing.number, messages: complaints.number)
      return try TarProcess(pid: pid, messages: messages, archive: archive, writing: writing)
    } catch {
      throw SliceError(
        .failed, "cannot run tar: \(error)", hint: "importing a directory takes GNU tar")
    }
  }

  private init(
    pid: pid_t, messages: Endpoint, archive: Endpoint, writing: Endpoint
  ) throws(SystemError) {
    self.pid = pid
    self.messages = messages
    self.archive = Mutex(archive)
    self.writing = Mutex(writing)
    let (ended, endOfWatch) = try Endpoint.pipe()
    self.ended = ended
    self.endOfWatch = Mutex(endOfWatch)
  }

  /// Hands over the end from which to read the archive, once: while this process has it open
  /// nobody notices that the reader has gone.
  func takeArchive() -> Endpoint? {
    archive.withLock { archive in
      defer { archive = nil }
      return archive
    }
  }

  /// Watches it from a thread. Call it once.
  /// - Parameter onFailure: is called there when tar fails, before the reader can see the end.
  func watch(onFailure: @escaping @Sendable () -> Void) throws(SystemError) {
    try SystemThread.start(name: "tar", stackSize: 256 << 10) { [self] in
      // Only tar has the other end: this waits for its end as well.
      let complaints = readMessages()
      var status: Int32 = 0
      while waitpid(pid, &status, 0) == -1, errno == EINTR {}
      // The reader has stopped reading; it will say itself what that means.
      let isUnread = status & 0x7F == SIGPIPE
      if status == 0 || isUnread {
        writing.withLock { $0 = nil }
      } else {
        failure.withLock { $0 = Self.error(status, complaints) }
        onFailure()
      }
      endOfWatch.withLock { $0 = nil }
    }
  }

  /// Why it failed, if it has by now.
  var failureSoFar: SliceError? { failure.withLock { $0 } }

  /// Waits for its end.
  /// - Returns: why it failed; nil when it succeeded.
  func wait() -> SliceError? {
    var byte: UInt8 = 0
    while read(ended.number, &byte, 1) == -1, errno == EINTR {}
    return failureSoFar
  }

  /// Ends it, and lets the reader see the end of the archive not before it has stopped reading,
  /// which takes a moment after the connection was closed.
  func abandon() {
    if failureSoFar == nil { kill(pid, SIGTERM) }
    _ = wait()
    writing.withLock { writing in
      guard let held = writing else { return }
      var gone = pollfd(fd: held.number, events: 0, revents: 0)
      poll(&gone, 1, 5000)
      writing = nil
    }
  }

  private func readMessages() -> String {
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(messages.number, &part, part.count)
      if count == -1, errno == EINTR { continue }
      guard count > 0 else { return String(decoding: text, as: UTF8.self) }
      if text.count < 16 << 10 { text += part[..<count] }
    }
  }

  private static func error(_ status: Int32, _ complaints: String) -> SliceError {
    let lines = complaints.split(separator: "\n").map { String($0).escapedForTerminal }
    let shown = lines.prefix(3).joined(separator: "; ")
    let more = lines.count > 3 ? "; and \(lines.count - 3) more" : ""
    return SliceError(
      .failed,
      lines.isEmpty
        ? "tar failed with wait status \(status)" : "cannot read it all: \(shown)\(more)",
      hint: "nothing was imported; import it as a user who may read every file")
  }

  private static func spawn(
    _ directory: String, output: Int32, messages: Int32
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, messages, STDERR_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // It must die of a reader that has gone, whatever this process has inherited.
    var pipeSignal = sigset_t()
    sigemptyset(&pipeSignal)
    sigaddset(&pipeSignal, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &pipeSignal)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    let arguments = [
      "tar", "--numeric-owner", "--sort=name", "-C", directory, "-cf", "-", ".",
    ]
    var vector = arguments.map { strdup($0) } + [nil]
    defer { vector.forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawnp(&pid, "tar", &actions, &attributes, &vector, environ)
    guard code == 0 else { throw SystemError(code: code, operation: "posix_spawn", subject: "tar") }
    return pid
  }
}
