import Descriptor
import Glibc
import SliceModel

/// The namespaces of a living process, held by descriptors.
public struct NamespaceSet: Sendable {
  public let mount: SharedFD
  public let pid: SharedFD
  public let uts: SharedFD
  public let ipc: SharedFD
  public let network: SharedFD
  public let cgroup: SharedFD
  public let user: SharedFD

  /// Those that `process` lives in. The process must be known to live after the call, or the
  /// number may have come to mean another: `hasEnded` is asked for that.
  public init(of process: PidFD) throws(SystemError) {
    func open(_ kind: String) throws(SystemError) -> SharedFD {
      SharedFD(
        try Files.open("/proc/\(process.pid)/ns/\(kind)", O_RDONLY), label: "\(kind) namespace")
    }
    mount = try open("mnt")
    pid = try open("pid")
    uts = try open("uts")
    ipc = try open("ipc")
    network = try open("net")
    cgroup = try open("cgroup")
    user = try open("user")
    guard !process.hasEnded() else {
      throw SystemError(code: ESRCH, operation: "open namespaces", subject: "\(process.pid)")
    }
  }
}
