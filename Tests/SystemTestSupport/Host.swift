import Glibc

/// What this machine can do, so that a test that cannot run says why.
public enum Host {
  public static let isRoot = geteuid() == 0

  /// Directory of the programs under test: SLICES_BIN, else build/bin of the package.
  public static let programs: String =
    getenv("SLICES_BIN").map { String(cString: $0) } ?? packageDirectory + "/build/bin"

  public static let packageDirectory: String = {
    // Tests/SystemTestSupport/Host.swift
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  public static let isBuilt = HostFiles.exists(programs + "/sliced")

  /// Mount point of cgroup v2.
  public static let cgroupMount: String? = {
    for line in HostFiles.lines("/proc/self/mountinfo") {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 1,
        fields[dash + 1] == "cgroup2"
      else { continue }
      return String(fields[4])
    }
    return nil
  }()

  public static let controllers: Set<String> = Set(
    (cgroupMount.map { HostFiles.text($0 + "/cgroup.controllers") } ?? "")
      .split(whereSeparator: \.isWhitespace).map(String.init))

  public static func hasController(_ name: String) -> Bool { controllers.contains(name) }

  /// Whether the limits that every slice is given in these tests hold here.
  public static let enforcesLimits = controllers.isSuperset(of: ["cpu", "memory", "pids", "io"])

  /// A file system that can hold the state of a supervisor: one that maps owners.
  public static let stateDirectory: String? = {
    // statfs(2): ext2 to 4, xfs, btrfs. By `stat`, because Swift's Glibc hides struct statfs.
    let wanted = ["ext2/ext3", "ext4", "xfs", "btrfs"]
    let candidates =
      (getenv("SLICES_TEST_DIRECTORY").map { [String(cString: $0)] } ?? [])
      + ["/tmp", "/var/tmp", "/var/lib/slices"]
    return candidates.first { path in
      guard let result = try? Command.run(["stat", "-f", "-c", "%T", path]) else { return false }
      return wanted.contains(result.output.split(separator: "\n").first.map(String.init) ?? "")
    }
  }()

  /// Why ext4 with project quotas can't be had here; nil where it can. Found by trying.
  public static let quotaObstacle: String? = {
    guard isRoot else { return "needs root" }
    let trial = """
      mount -t tmpfs none /mnt && cd /mnt && truncate -s 64M disk && mkdir place \
      && mke2fs -q -F -O quota,project -E quotatype=prjquota disk && mount -o loop,prjquota disk place
      """
    guard let result = try? Command.run(["unshare", "--mount", "sh", "-c", trial]),
      result.status == 0
    else { return "the kernel has no project quotas on ext4 (CONFIG_QFMT_V2; the lab's has)" }
    return nil
  }()

  /// Why no supervisor can be started here; nil when one can.
  public static let obstacle: String? = {
    if !isRoot { return "needs root" }
    if !isBuilt { return "needs \(programs)/sliced: make build" }
    if cgroupMount == nil { return "needs a cgroup v2 mount" }
    if stateDirectory == nil {
      return "needs /tmp, /var/tmp or SLICES_TEST_DIRECTORY on ext4, xfs or btrfs"
    }
    return nil
  }()

  /// The lab's usual kernel.
  public static let isUserModeLinux = HostFiles.text("/proc/cpuinfo").contains("User Mode Linux")

  public static var canRunSlices: Bool { obstacle == nil }
}
