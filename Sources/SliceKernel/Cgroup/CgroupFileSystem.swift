import Descriptor
import SliceModel

/// The cgroup v2 hierarchy of this host.
public struct CgroupFileSystem: Sendable, Hashable {
  /// Where it is mounted.
  public let mountPoint: String

  /// Finds the mount; nil when there is none.
  public static func find() throws(SystemError) -> CgroupFileSystem? {
    let table = try Files.readText("/proc/self/mountinfo")
    for line in table.split(separator: "\n") {
      // proc(5): … (5) mount point (6) options … - (9) type (10) source (11) options
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 1, fields.count > 4,
        fields[dash + 1] == "cgroup2"
      else { continue }
      return CgroupFileSystem(mountPoint: String(fields[4]))
    }
    return nil
  }

  /// The cgroup of this process, relative to the mount: `/` or `/system.slice/sliced.service`.
  public static func ownPath() throws(SystemError) -> String {
    let text = try Files.readText("/proc/self/cgroup")
    let line = text.split(separator: "\n").first { $0.hasPrefix("0::") }
    return line.map { String($0.dropFirst(3)) } ?? "/"
  }
}
