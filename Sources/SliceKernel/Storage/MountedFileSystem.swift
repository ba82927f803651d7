/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
public struct MountedFileSystem: Sendable, Hashable {
  public var mountPoint: String
  public var type: String
  /// The device, or what the file system has instead.
  public var source: String
  /// Of the file system, not of the mount.
  public var options: Set<String>

  /// The one that holds `path`, which need not exist; nil where that can't be read.
  public static func holding(_ path: String) -> MountedFileSystem? {
    holding(path, table: (try? Files.readText("/proc/self/mountinfo")) ?? "")
  }

  static func holding(_ path: String, table: String) -> MountedFileSystem? {
    var best: MountedFileSystem?
    for line in table.split(separator: "\n") {
      // … (5) mount point (6) options … - (9) type (10) source (11) options of the file system
      let fields = line.split(separator: " ").map(String.init)
      guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 3, dash > 5 else {
        continue
      }
      let point = fields[4]
      let covers = point == "/" || path == point || path.hasPrefix(point + "/")
      // Later lines cover earlier ones at the same place.
      guard covers, point.utf8.count >= (best?.mountPoint.utf8.count ?? 0) else { continue }
      best = MountedFileSystem(
        mountPoint: point, type: fields[dash + 1], source: fields[dash + 2],
        options: Set(fields[dash + 3].split(separator: ",").map(String.init)))
    }
    return best
  }
}
