// Small files of the host: the runtime's own state and the kernel's pseudo-files. Paths here are
// the runtime's own, never an owner's or an image's; those go through `RootedPath`.
import Descriptor
import Glibc

public enum Files {
  /// Opens `path` close-on-exec; `mode` counts with O_CREAT.
  public static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0
  ) throws(SystemError) -> OwnedFD {
    OwnedFD(
      adopting: try retryingInterrupts("open", path) { Glibc.open(path, flags | O_CLOEXEC, mode) })
  }

  /// The whole content of a file of at most `limit` bytes (EFBIG beyond it).
  public static func read(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> [UInt8] {
    let file = try open(path, O_RDONLY)
    return try read(file.rawValue, path: path, limit: limit)
  }

  public static func read(
    _ descriptor: Int32, path: String, limit: Int = 1 << 20
  ) throws(SystemError) -> [UInt8] {
    try HostPath.content(of: descriptor, path: path, limit: limit)
  }

  /// The content as text, without the newline at its end.
  public static func readText(_ path: String) throws(SystemError) -> String {
    var bytes = try read(path)
    while bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Writes `text` in one write(2) to a file that exists, as the kernel's pseudo-files want it.
  public static func write(_ text: String, to path: String) throws(SystemError) {
    let file = try open(path, O_WRONLY)
    let bytes = Array(text.utf8)
    let count = try retryingInterrupts("write", "\(path) ← \(text)") {
      Glibc.write(file.rawValue, bytes, bytes.count)
    }
    guard count == bytes.count else {
      throw SystemError(code: EIO, operation: "write", subject: path)
    }
  }

  /// Replaces `path` so that after a crash at any point either the old or the new content is there:
  /// temporary file, fsync, rename, fsync of the directory.
  public static func replace(
    _ path: String, with content: [UInt8], mode: mode_t = 0o600
  ) throws(SystemError) {
    let temporary = path + ".new"
    let file = try open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
    do {
      try writeAll(content, to: file.rawValue, path: temporary)
      try retryingInterrupts("fsync", temporary) { fsync(file.rawValue) }
      try checked("rename", "\(temporary) to \(path)") { rename(temporary, path) }
    } catch {
      unlink(temporary)
      throw error
    }
    try syncDirectory(parent(of: path))
  }

  public static func writeAll(
    _ content: [UInt8], to descriptor: Int32, path: String
  ) throws(SystemError) {
    var offset = 0
    while offset < content.count {
      offset += try retryingInterrupts("write", path) {
        content.withUnsafeBytes {
          Glibc.write(descriptor, $0.baseAddress! + offset, content.count - offset)
        }
      }
    }
  }

  public static func syncDirectory(_ path: String) throws(SystemError) {
    let directory = try open(path, O_RDONLY | O_DIRECTORY)
    try retryingInterrupts("fsync", path) { fsync(directory.rawValue) }
  }

  /// Makes a directory; one that exists already is an error unless `existingIsFine`.
  public static func makeDirectory(
    _ path: String, mode: mode_t, existingIsFine: Bool = false
  ) throws(SystemError) {
    do {
      try checked("mkdir", path) { mkdir(path, mode) }
    } catch {
      guard existingIsFine, error.code == EEXIST else { throw error }
    }
  }

  /// Makes a directory and those above it.
  public static func makeDirectories(_ path: String, mode: mode_t) throws(SystemError) {
    var current = ""
    for part in path.split(separator: "/") {
      current += "/" + part
      try makeDirectory(current, mode: mode, existingIsFine: true)
    }
  }

  /// The names in a directory, without `.` and `..`, sorted.
  public static func list(_ path: String) throws(SystemError) -> [String] {
    try HostPath.names(in: path)
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Removes a file; one that is not there is fine.
  public static func remove(_ path: String) throws(SystemError) {
    do {
      try checked("unlink", path) { unlink(path) }
    } catch {
      guard error.code == ENOENT else { throw error }
    }
  }

  public static func parent(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
  }
}
