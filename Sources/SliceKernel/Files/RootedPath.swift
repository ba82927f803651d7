import CKernel
import Descriptor
import Glibc

/// Paths inside a tree that somebody else controls: an image, a slice's root. The only way to open
/// them. The kernel resolves `..`, absolute names and symbolic links within the tree (openat2(2)
/// with RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS), so no race can lead out of it.
public struct RootedPath: ~Copyable {
  private let root: OwnedFD
  private let name: String

  /// The tree at `path`, a directory; `path` itself is trusted.
  public init(root path: String) throws(SystemError) {
    root = try Files.open(path, kernel_path_only | O_DIRECTORY)
    name = path
  }

  public borrowing func open(_ path: String, _ flags: Int32) throws(SystemError) -> OwnedFD {
    let rootFD = root.rawValue
    return OwnedFD(
      adopting: try retryingInterrupts("openat2", "\(path) in \(name)") {
        kernel_openat2(
          rootFD, path, flags, 0, kernel_resolve_in_root | kernel_resolve_no_magiclinks)
      })
  }

  /// The content of a regular file of at most `limit` bytes.
  public borrowing func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
    // Not blocking: the file could be a fifo.
    let file = try open(path, O_RDONLY | O_NONBLOCK)
    var info = stat()
    let number = file.rawValue
    try checked("fstat", path) { fstat(number, &info) }
    guard info.st_mode & S_IFMT == S_IFREG else {
      throw SystemError(code: EINVAL, operation: "read", subject: "\(path): not a regular file")
    }
    return try Files.read(number, path: path, limit: limit)
  }
}
