import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The trees behind `host` and `minimal`, made by the runtime itself.
///
/// A tree under a running slice must not change (overlayfs.rst, "Changes to underlying
/// filesystems"), so each is stored under a hash of its content: what changed gets a new one.
struct BuiltInImages: Sendable {
  /// Directories below the image store.
  let host: String
  let minimal: String

  init(layout: NodeLayout) throws(SliceError) {
    host = try Self.make("host", HostTree.content(), layout)
    minimal = try Self.make("minimal", MinimalTree.content(layout), layout)
  }

  private static func make(
    _ name: String, _ content: TreeContent, _ layout: NodeLayout
  ) throws(SliceError) -> String {
    let directory = "\(name)-\(content.hash)"
    let path = layout.images + "/" + directory
    if Files.exists(path) { return directory }
    let staging = layout.images + "/.import-\(name)"
    try reporting("make the image '\(name)'") { () throws(SystemError) in
      try Files.removeTree(staging)
      try Files.makeDirectory(staging, mode: 0o755)
      try content.write(to: staging + "/tree")
      try checked("rename", path) { rename(staging, path) }
    }
    return directory
  }
}

/// A small tree described in memory.
struct TreeContent {
  enum Entry {
    case directory(mode: mode_t)
    case file([UInt8], mode: mode_t)
    case link(String)
  }
  /// By path relative to the root; parents before children by order of insertion.
  private(set) var entries: [(path: String, entry: Entry)] = []

  mutating func add(_ path: String, _ entry: Entry) { entries.append((path, entry)) }

  mutating func add(_ path: String, text: String) {
    add(path, .file(Array(text.utf8), mode: 0o644))
  }

  /// FNV-1a over all of it: tells versions apart, promises nothing against malice.
  var hash: String {
    var value: UInt64 = 0xCBF2_9CE4_8422_2325
    func mix(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    for (path, entry) in entries {
      mix(path.utf8)
      switch entry {
      case .directory(let mode): mix("d\(mode)".utf8)
      case .file(let content, let mode):
        mix("f\(mode)".utf8)
        mix(content)
      case .link(let text): mix("l\(text)".utf8)
      }
    }
    return String(value, radix: 16)
  }

  func write(to root: String) throws(SystemError) {
    try Files.makeDirectory(root, mode: 0o755)
    for (path, entry) in entries {
      let target = root + "/" + path
      switch entry {
      case .directory(let mode):
        try Files.makeDirectory(target, mode: mode)
        try checked("chmod", target) { chmod(target, mode) }  // whatever the umask
      case .file(let content, let mode):
        let file = try Files.open(target, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        let number = file.rawValue
        try Files.writeAll(content, to: number, path: target)
        try checked("fchmod", target) { fchmod(number, mode) }
      case .link(let text):
        try checked("symlink", target) { symlink(text, target) }
      }
    }
  }
}
