import Descriptor
import Glibc

/// Small reads of the host's files.
enum File {
  static func bytes(_ path: String) throws(SystemError) -> [UInt8] {
    let file = OwnedFD(adopting: try checked("open", path) { open(path, O_RDONLY | O_CLOEXEC) })
    return try HostPath.content(of: file.rawValue, path: path)
  }

  static var hostName: String {
    let line = (try? bytes("/proc/sys/kernel/hostname"))?.prefix { $0 != UInt8(ascii: "\n") }
    return String(decoding: line ?? [], as: UTF8.self)
  }

  static func link(_ path: String) -> String? { HostPath.link(path) }

  /// What cannot be listed is empty.
  static func list(_ path: String) -> [String] { (try? HostPath.names(in: path)) ?? [] }

  static func text(_ path: String) -> String {
    (try? bytes(path)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// Removes a file, or a directory with all that is in it, following no link.
  /// - Returns: the first thing that did not go, and why.
  static func remove(_ path: String) -> String? {
    guard unlink(path) < 0, errno != ENOENT else { return nil }
    guard errno == EISDIR || errno == EPERM else { return "unlink(\(path)): errno \(errno)" }
    for name in list(path) {
      if let complaint = remove(path + "/" + name) { return complaint }
    }
    return rmdir(path) < 0 ? "rmdir(\(path)): errno \(errno)" : nil
  }

  /// The link that the way to the world leads by, of IPv4 (proc_net(5), route).
  static func uplink() -> String? {
    let rows = text("/proc/net/route").split(separator: "\n").dropFirst()
      .map { $0.split(whereSeparator: \.isWhitespace) }
    return rows.first { $0.count > 7 && $0[1] == "00000000" && $0[7] == "00000000" }
      .map { String($0[0]) }
  }

  /// Whether this process may have CAP_SYS_RESOURCE, bit 24 of its bounding set (capabilities(7)).
  static func mayRaiseLimits() -> Bool {
    let line = text("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("CapBnd:") }
    let mask = line.flatMap { $0.split(separator: "\t").last }.flatMap { UInt64($0, radix: 16) }
    return (mask ?? 0) >> 24 & 1 == 1
  }

  /// The keys of all users, as the kernel counts them (keyrings(7)).
  static func keyCount() -> Int? {
    let lines = text("/proc/key-users").split(separator: "\n")
    let counts = lines.compactMap { line in
      let fields = line.split(separator: " ")
      return fields.count > 2 ? Int(fields[2].prefix { $0 != "/" }) : nil
    }
    return counts.isEmpty ? nil : counts.reduce(0, +)
  }

  static func mountPoints() -> [String] { mounts().map { String($0[1]) } }

  private static func mounts() -> [[Substring]] {
    text("/proc/self/mounts").split(separator: "\n").map { $0.split(separator: " ") }
      .filter { $0.count > 2 }
  }

  /// The directory of the cgroup that a process is in; nil without cgroup v2.
  static func cgroup(of pid: Int32) -> String? {
    let lines = text("/proc/\(pid)/cgroup").split(separator: "\n")
    guard let mount = mounts().last(where: { $0[2] == "cgroup2" })?[1],
      let line = lines.first(where: { $0.hasPrefix("0::/") })
    else { return nil }
    return String(mount) + String(line).dropFirst(3)
  }

  /// The cgroup with a slice's limits, above the one in which its processes are.
  static func limits(of pid: Int32) -> String? {
    // What PID 1 has made of its own cgroup is not of interest.
    let parts = cgroup(of: pid)?.split(separator: "/") ?? []
    guard let last = parts.lastIndex(of: "slice"), last > 0 else { return nil }
    return "/" + parts[..<last].joined(separator: "/")
  }
}
