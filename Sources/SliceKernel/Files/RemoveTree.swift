import CKernel
import Descriptor
import Glibc

extension Files {
  /// Removes `path` and everything below it, by descriptor and without following a link, so that
  /// whatever a slice left there cannot lead anywhere else. Does not cross into other mounts
  /// (EBUSY: a mount point is never emptied). One that is not there is fine.
  public static func removeTree(_ path: String) throws(SystemError) {
    let name = String(path[path.index(after: path.lastIndex(of: "/")!)...])
    let above: OwnedFD
    do {
      above = try open(parent(of: path), O_RDONLY | O_DIRECTORY)
    } catch {
      if error.code == ENOENT { return }
      throw error
    }
    try removeEntry(name, in: above.rawValue, path: path)
  }

  private static func removeEntry(
    _ name: String, in directory: Int32, path: String
  ) throws(SystemError) {
    if unlinkat(directory, name, 0) == 0 { return }
    let code = errno
    if code == ENOENT { return }
    guard code == EISDIR || code == EPERM || code == ENOTEMPTY else {
      throw SystemError(code: code, operation: "unlinkat", subject: path)
    }
    let inner = OwnedFD(
      adopting: try checked("openat", path) {
        openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      })
    for entry in try entries(of: inner.rawValue, path: path) {
      try removeEntry(entry, in: inner.rawValue, path: path + "/" + entry)
    }
    try checked("rmdir", path) { unlinkat(directory, name, AT_REMOVEDIR) }
  }

  private static func entries(of directory: Int32, path: String) throws(SystemError) -> [String] {
    let copy = try checked("dup", path) { fcntl(directory, F_DUPFD_CLOEXEC, 0) }
    guard let stream = fdopendir(copy) else {
      let code = errno
      close(copy)
      throw SystemError(code: code, operation: "fdopendir", subject: path)
    }
    return names(in: stream)
  }
}
