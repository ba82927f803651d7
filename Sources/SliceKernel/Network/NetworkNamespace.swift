import CNetlink
import Descriptor
import Glibc
import SliceModel

/// A network namespace of the host's user namespace, with loopback up. It, and the link in it, live
/// as long as this object or a process inside.
public final class NetworkNamespace: Sendable {
  /// For launch plans.
  public let descriptor: SharedFD
  private let routing: OwnedFD

  /// - Parameter procfs: one for several namespaces; nil: one of its own.
  public init(ipv6: Bool, through procfs: Procfs? = nil) throws(SliceError) {
    let procfs = try reporting("make a network namespace") { () throws(SystemError) in
      if let procfs { procfs } else { try Procfs() }
    }
    var made = cnl_namespace()
    try network("make a network namespace") {
      cnl_namespace_create(procfs.root.rawValue, ipv6, &made, $0)
    }
    descriptor = SharedFD(OwnedFD(adopting: made.netns), label: "network namespace")
    routing = OwnedFD(adopting: made.rtnetlink)
  }

  /// That of a process. ESRCH, as `failed`, once it has ended.
  public init(of process: PidFD) throws(SliceError) {
    let own = try reporting("open a network namespace") { () throws(SystemError) in
      let path = "/proc/\(process.pid)/ns/net"
      let own = OwnedFD(adopting: try checked("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
      // Only while it lives its number is certainly its own.
      guard !process.hasEnded() else {
        throw SystemError(code: ESRCH, operation: "open", subject: path)
      }
      return own
    }
    var made = cnl_namespace()
    try network("join a network namespace") { cnl_namespace_adopt(own.rawValue, &made, $0) }
    descriptor = SharedFD(OwnedFD(adopting: made.netns), label: "network namespace")
    routing = OwnedFD(adopting: made.rtnetlink)
  }

  /// One that is kept by a mount (`keep`).
  public init(keptAt path: String) throws(SliceError) {
    let own = try reporting("open a network namespace") { () throws(SystemError) in
      try Files.open(path, O_RDONLY)
    }
    var made = cnl_namespace()
    try network("join a network namespace") { cnl_namespace_adopt(own.rawValue, &made, $0) }
    descriptor = SharedFD(OwnedFD(adopting: made.netns), label: "network namespace")
    routing = OwnedFD(adopting: made.rtnetlink)
  }

  /// Keeps it for as long as it is mounted on this file, which is made: longer than this process.
  public func keep(at path: String) throws(SliceError) {
    try reporting("keep a network namespace") { () throws(SystemError) in
      _ = try Files.open(path, O_RDONLY | O_CREAT | O_EXCL, mode: 0o400)
      let source = "/proc/self/fd/\(descriptor.rawValue)"
      do throws(SystemError) {
        try checked("mount", path) { mount(source, path, nil, UInt(MS_BIND), nil) }
      } catch {
        try? Files.remove(path)
        throw error
      }
    }
  }

  /// Ends that. What is not mounted, or not there, is fine.
  public static func forget(keptAt path: String) throws(SliceError) {
    try reporting("give up a network namespace") { () throws(SystemError) in
      do throws(SystemError) {
        try checked("umount", path) { umount2(path, Int32(MNT_DETACH)) }
      } catch {
        guard error.code == EINVAL || error.code == ENOENT else { throw error }
      }
      try Files.remove(path)
    }
  }

  var handle: cnl_namespace {
    cnl_namespace(netns: descriptor.rawValue, rtnetlink: routing.rawValue)
  }
}
