import CKernel
import Descriptor
import Glibc

extension Files {
  /// Removes `path` and everything below it, by descriptor and without following a link, so that
  /// whatever a slice left there cannot lead anywhere else. Does not cross into other mounts
  /// (EXDEV: a mount point is never emptied). One that is not there is fine.
  ///
  /// How deep the tree is and which bytes its names have was a slice's to choose: neither the
  /// stack nor the number of descriptors grows with the depth, and no name is decoded.
  public static func removeTree(_ path: String) throws(SystemError) {
    guard exists(parent(of: path)) else { return }
    let above = try open(parent(of: path), O_RDONLY | O_DIRECTORY)
    let aboveNumber = above.rawValue
    let name = EntryName(path[path.index(after: path.lastIndex(of: "/")!)...])
    if try unlinked(name, in: aboveNumber, path: path) { return }
    let top = try enter(name, in: aboveNumber, path: path)
    var emptying = TreeEmptying(top: top.rawValue, path: path)
    try emptying.run()
    try checked("rmdir", path) { unlinkat(aboveNumber, name.bytes, AT_REMOVEDIR) }
  }

  /// Removes a directory that holds nothing but directories and what goes with them, as those of
  /// the cgroup file system do. ELOOP when they lie too deep within each other; EBUSY and the other
  /// errors of rmdir(2).
  public static func removeDirectories(_ path: String) throws(SystemError) {
    guard exists(path) else { return }
    let directory = try open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    try removeDirectories(in: directory.rawValue, path: path, depth: 0)
    do {
      try checked("rmdir", path) { rmdir(path) }
    } catch {
      guard error.code == ENOENT else { throw error }
    }
  }

  private static func removeDirectories(
    in directory: Int32, path: String, depth: Int
  ) throws(SystemError) {
    guard depth < 64 else { throw SystemError(code: ELOOP, operation: "rmdir", subject: path) }
    let entries = try DirectoryStream(directory, path: path)
    while let (name, kind) = try entries.next() {
      guard kind == DT_DIR else { continue }
      let inner = try enter(name, in: directory, path: path)
      try removeDirectories(in: inner.rawValue, path: path, depth: depth + 1)
      try checked("rmdir below", path) { unlinkat(directory, name.bytes, AT_REMOVEDIR) }
    }
  }

  /// Removes a file or an empty directory, or says that the directory is not empty.
  fileprivate static func unlinked(
    _ name: EntryName, in directory: Int32, path: String
  ) throws(SystemError) -> Bool {
    func unlinkError(_ flags: Int32) -> Int32 {
      unlinkat(directory, name.bytes, flags) == 0 ? 0 : errno
    }
    var code = unlinkError(0)
    // unlink(2): Linux says EISDIR for a directory, POSIX EPERM.
    if code == EISDIR || code == EPERM { code = unlinkError(AT_REMOVEDIR) }
    switch code {
    case 0, ENOENT: return true
    case ENOTEMPTY, EEXIST: return false
    default: throw SystemError(code: code, operation: "unlinkat below", subject: path)
    }
  }

  fileprivate static func enter(
    _ name: EntryName, in directory: Int32, path: String
  ) throws(SystemError) -> OwnedFD {
    OwnedFD(
      adopting: try checked("openat2 below", path) {
        kernel_openat2(
          directory, name.bytes, O_RDONLY | O_DIRECTORY, 0,
          kernel_resolve_beneath | kernel_resolve_no_symlinks | kernel_resolve_no_xdev)
      })
  }
}

/// The emptying of one directory.
private struct TreeEmptying {
  let top: Int32
  let path: String
  /// Directories below this many others are moved up to the top before they are emptied.
  private static let deepest = 32
  private var hoisted = 0

  init(top: Int32, path: String) {
    self.top = top
    self.path = path
  }

  mutating func run() throws(SystemError) {
    var before: Int
    repeat {
      before = hoisted
      try empty(top, depth: 0)
    } while hoisted != before
  }

  private mutating func empty(_ directory: Int32, depth: Int) throws(SystemError) {
    let entries = try DirectoryStream(directory, path: path)
    while let (name, _) = try entries.next() {
      if try Files.unlinked(name, in: directory, path: path) { continue }
      if depth == Self.deepest {
        try hoist(name, from: directory)
        continue
      }
      let inner = try Files.enter(name, in: directory, path: path)
      try empty(inner.rawValue, depth: depth + 1)
      try checked("rmdir below", path) { unlinkat(directory, name.bytes, AT_REMOVEDIR) }
    }
  }

  private mutating func hoist(_ name: EntryName, from directory: Int32) throws(SystemError) {
    while true {
      hoisted += 1
      let target = EntryName("\(hoisted)")
      let code = renameat(directory, name.bytes, top, target.bytes) == 0 ? 0 : errno
      switch code {
      case 0: return
      case ENOTEMPTY, EEXIST, ENOTDIR: continue  // the slice has something of that name
      default: throw SystemError(code: code, operation: "renameat below", subject: path)
      }
    }
  }
}

/// The name of a directory entry: bytes, of no encoding, with the NUL at their end.
private struct EntryName {
  let bytes: [CChar]

  init(_ text: some StringProtocol) { bytes = text.utf8.map(CChar.init(bitPattern:)) + [0] }
  init(_ pointer: UnsafePointer<CChar>) {
    bytes = Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1))
  }

  var isDots: Bool { bytes == [0x2E, 0] || bytes == [0x2E, 0x2E, 0] }
}

/// The entries of an open directory, one at a time.
private final class DirectoryStream {
  private let stream: OpaquePointer
  private let path: String

  init(_ directory: Int32, path: String) throws(SystemError) {
    // Not a duplicate, whose offset would be that of `directory`.
    let own = try checked("openat", path) {
      openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    }
    guard let stream = fdopendir(own) else {
      let code = errno
      close(own)
      throw SystemError(code: code, operation: "fdopendir", subject: path)
    }
    self.stream = stream
    self.path = path
  }

  deinit { closedir(stream) }

  /// The next entry but `.` and `..`, with its DT_* type; nil at the end.
  func next() throws(SystemError) -> (name: EntryName, kind: Int32)? {
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        let code = errno
        guard code == 0 else {
          throw SystemError(code: code, operation: "readdir", subject: path)
        }
        return nil
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { EntryName($0) }
      }
      if !name.isDots { return (name, Int32(entry.pointee.d_type)) }
    }
  }
}
