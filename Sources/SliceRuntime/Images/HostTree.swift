import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The image `host`: the host's programs and libraries, read-only, under an /etc of its own. None
/// of the host's data, keys, home or variable directories is in it.
enum HostTree {
  /// Where programs and libraries are. A real directory is shown from the host; a link (a host
  /// with a merged /usr) is made as it is there.
  private static let programDirectories = [
    "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32",
  ]

  /// Files of /etc that programs need and that hold no secret and no configuration of a service.
  private static let publicFiles = [
    "ld.so.cache", "ld.so.conf", "services", "protocols", "rpc", "mime.types", "magic",
    "debian_version", "shells", "terminfo", "login.defs",
  ]
  private static let publicDirectories = ["alternatives", "ld.so.conf.d", "ssl/certs"]

  /// For programs that ask pam(7), such as su: root may become anybody, nobody has a password.
  private static let authentication = """
    auth sufficient pam_rootok.so
    auth required pam_deny.so
    account required pam_permit.so
    password required pam_deny.so
    session required pam_permit.so

    """

  /// The directories of the host that are attached to the tree.
  static func hostDirectories() -> [String] {
    programDirectories.filter { HostPath.link("/" + $0) == nil && isDirectory("/" + $0) }
  }

  static func content() throws(SliceError) -> TreeContent {
    var tree = TreeContent()
    // A shell that edits lines, for `enter`.
    let shell = access("/bin/bash", X_OK) == 0 ? "/bin/bash" : "/bin/sh"
    EtcFiles.addSkeleton(to: &tree, shell: shell)
    for name in programDirectories {
      if let text = HostPath.link("/" + name) {
        tree.add(name, .link(text))
      } else if isDirectory("/" + name) {
        tree.add(name, .directory(mode: 0o755))
      }
    }
    tree.add("etc/pam.d", .directory(mode: 0o755))
    tree.add("etc/pam.d/other", text: authentication)
    tree.add("etc/ssl", .directory(mode: 0o755))
    for name in publicFiles { try copyFile("etc/" + name, to: &tree) }
    for name in publicDirectories { try copyDirectory("etc/" + name, to: &tree) }
    for name in ["etc/localtime", "etc/os-release"] {
      if let text = HostPath.link("/" + name) { tree.add(name, .link(text)) }
    }
    return tree
  }

  /// One level of links and regular files; what is larger than 4 MiB or not public is left out.
  private static func copyDirectory(_ path: String, to tree: inout TreeContent) throws(SliceError) {
    guard isDirectory("/" + path) else { return }
    tree.add(path, .directory(mode: 0o755))
    let names = try reporting("read /\(path)") { () throws(SystemError) in
      try Files.list("/" + path)
    }
    for name in names { try copyFile(path + "/" + name, to: &tree) }
  }

  private static func copyFile(_ path: String, to tree: inout TreeContent) throws(SliceError) {
    if let text = HostPath.link("/" + path) {
      tree.add(path, .link(text))
      return
    }
    var info = stat()
    guard lstat("/" + path, &info) == 0, info.st_mode & S_IFMT == S_IFREG,
      info.st_mode & 0o004 != 0, info.st_size <= 4 << 20
    else { return }
    let content = try reporting("read /\(path)") { () throws(SystemError) in
      try Files.read("/" + path, limit: 4 << 20)
    }
    tree.add(path, .file(content, mode: 0o644))
  }

  private static func isDirectory(_ path: String) -> Bool {
    var info = stat()
    return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
  }
}
