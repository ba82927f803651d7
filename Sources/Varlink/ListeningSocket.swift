import CSystem
import Descriptor
import Glibc

/// A Unix stream socket on which a server takes connections.
public struct ListeningSocket: ~Copyable, Sendable {
  let descriptor: OwnedFD
  /// The file that this process made for it and removes with it; nil when another made it.
  private let file: SocketFile?

  private init(descriptor: consuming OwnedFD, file: SocketFile?) {
    self.descriptor = descriptor
    self.file = file
  }

  deinit { file?.removeIfUnchanged() }

  /// Takes over a socket that listens already. It is made non-blocking.
  /// - Throws: EINVAL or ENOTSOCK when it is something else than a listening Unix stream socket.
  public static func adopt(_ descriptor: consuming OwnedFD) throws(SystemError) -> ListeningSocket {
    let number = descriptor.rawValue
    let subject = "descriptor \(number)"
    try checked("check of the listening socket", subject) { system_check_unix_listener(number) }
    let flags = try checked("fcntl(F_GETFL)", subject) { fcntl(number, F_GETFL) }
    try checked("fcntl(F_SETFL)", subject) { fcntl(number, F_SETFL, flags | O_NONBLOCK) }
    try checked("fcntl(F_SETFD)", subject) { fcntl(number, F_SETFD, FD_CLOEXEC) }
    return ListeningSocket(descriptor: descriptor, file: nil)
  }

  /// The socket that a service manager opened for this process (sd_listen_fds(3)).
  ///
  /// Call it once, before threads are started: it changes the environment, so that children
  /// don't take the socket for theirs.
  ///
  /// - Returns: nil when there is none.
  /// - Throws: E2BIG when there are several; as ``adopt(_:)``.
  public static func fromServiceManager() throws(SystemError) -> ListeningSocket? {
    defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
    func number(_ name: String) -> Int32? { getenv(name).flatMap { Int32(String(cString: $0)) } }
    guard number("LISTEN_PID") == getpid(), let count = number("LISTEN_FDS"), count > 0 else {
      return nil
    }
    guard count == 1 else { throw SystemError(code: E2BIG, operation: "LISTEN_FDS") }
    let firstPassed: Int32 = 3  // SD_LISTEN_FDS_START
    return try adopt(OwnedFD(adopting: firstPassed))
  }

  /// Makes a socket file and listens on it.
  ///
  /// A socket file that no server answers is replaced. The directory must be writable only by
  /// those who are trusted with the service; two servers that start at the same moment must be
  /// kept apart by other means.
  ///
  /// - Parameters:
  ///   - path: at most 107 bytes.
  ///   - mode: the file's permissions, whatever the umask; who may write may connect.
  /// - Throws: EADDRINUSE when a server answers there, or something that is no socket is there.
  public static func bind(path: String, mode: mode_t) throws(SystemError) -> ListeningSocket {
    let socket = try openUnixSocket(flags: Int32(SOCK_NONBLOCK.rawValue))
    do throws(SystemError) {
      try checked("bind", path) { system_unix_bind(socket.rawValue, path) }
    } catch {
      guard error.code == EADDRINUSE, try isStale(path) else { throw error }
      try checked("unlink", path) { unlink(path) }
      try checked("bind", path) { system_unix_bind(socket.rawValue, path) }
    }
    let file = try SocketFile(path: path)
    do throws(SystemError) {
      // Nobody can connect before listen(2), so the mode is never wider than asked.
      try checked("chmod", path) { chmod(path, mode) }
      try checked("listen", path) { listen(socket.rawValue, backlog) }
    } catch {
      file.removeIfUnchanged()
      throw error
    }
    return ListeningSocket(descriptor: socket, file: file)
  }

  /// Connections that may wait to be accepted; the kernel lowers it to net.core.somaxconn.
  private static let backlog: Int32 = 4096

  private static func isStale(_ path: String) throws(SystemError) -> Bool {
    let probe = try openUnixSocket(flags: Int32(SOCK_NONBLOCK.rawValue))
    guard system_unix_connect(probe.rawValue, path) == -1 else { return false }
    // Also what connect(2) says of a file that is no socket.
    guard errno == ECONNREFUSED else { return false }
    return (try? SocketFile(path: path)) != nil
  }
}

/// A Unix stream socket, close-on-exec.
func openUnixSocket(flags: Int32 = 0) throws(SystemError) -> OwnedFD {
  OwnedFD(adopting: try checked("socket(AF_UNIX)") { system_unix_socket(flags) })
}

/// A socket's name in the file system.
private struct SocketFile: Sendable {
  let path: String
  private let device: dev_t
  private let inode: ino_t

  /// - Throws: ENOTSOCK when what is there is no socket.
  init(path: String) throws(SystemError) {
    var status = stat()
    try checked("lstat", path) { lstat(path, &status) }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw SystemError(code: ENOTSOCK, operation: "lstat", subject: path)
    }
    self.path = path
    device = status.st_dev
    inode = status.st_ino
  }

  /// Leaves alone what another server may have put there since.
  func removeIfUnchanged() {
    guard let now = try? SocketFile(path: path), now.device == device, now.inode == inode else {
      return
    }
    unlink(path)
  }
}
