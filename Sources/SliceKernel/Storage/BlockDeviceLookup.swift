import Glibc

extension BlockDevice {
  /// The device below the file system that holds `path`, with what shares it by weight now; nil where
  /// there is none, as for tmpfs.
  public static func below(_ path: String) -> BlockDevice? {
    guard var device = number(of: path) else { return nil }
    if device.major == 0 {
      guard let source = sourceDevice(of: path) else { return nil }
      device = source
    }
    return BlockDeviceTree().described(device)
  }

  /// Of a file system that shows an anonymous number, as btrfs does: the device that mountinfo names.
  private static func sourceDevice(of path: String) -> BlockDevice? {
    guard let mount = MountedFileSystem.holding(path), mount.source.hasPrefix("/dev/") else {
      return nil
    }
    var info = stat()
    guard stat(mount.source, &info) == 0, info.st_mode & S_IFMT == S_IFBLK else { return nil }
    return BlockDevice(number: UInt64(info.st_rdev))
  }
}

/// Block devices as sysfs shows them (Documentation/ABI/stable/sysfs-block).
struct BlockDeviceTree {
  /// Another directory than sysfs's serves tests.
  var sysfs = "/sys"
  /// The root of the cgroup hierarchy; nil: there is none.
  var cgroup: Cgroup? = Self.hierarchy

  /// Found once, because this is on the way of every creation.
  private static let hierarchy = (try? CgroupFileSystem.find()).flatMap { $0 }.map {
    Cgroup(path: $0.mountPoint)
  }

  func described(_ device: BlockDevice) -> BlockDevice {
    var result = wholeDisk(device)
    result.weights = weights(of: result)
    return result
  }

  private func directory(_ device: BlockDevice) -> String { "\(sysfs)/dev/block/\(device)" }

  /// Of a partition the disk that it is on.
  func wholeDisk(_ device: BlockDevice) -> BlockDevice {
    guard Files.exists(directory(device) + "/partition") else { return device }
    return self.device(at: directory(device) + "/..") ?? device
  }

  private func device(at directory: String) -> BlockDevice? {
    let numbers = ((try? Files.readText(directory + "/dev")) ?? "").split(separator: ":")
      .compactMap { UInt32($0) }
    return numbers.count == 2 ? BlockDevice(major: numbers[0], minor: numbers[1]) : nil
  }

  /// The device whose requests can be shared by weight. One that has none of its own, a volume of
  /// the device mapper for instance, passes on what it gets (and holds nothing that others could
  /// want): then the one below. Nil where several are below.
  func scheduled(_ device: BlockDevice) -> BlockDevice? {
    var current = device
    // Deeper than anybody stacks them.
    for _ in 0..<16 {
      if Files.exists(directory(current) + "/mq") { return current }
      let slaves = (try? Files.list(directory(current) + "/slaves")) ?? []
      guard slaves.count == 1,
        let below = self.device(at: directory(current) + "/slaves/" + slaves[0])
      else { return nil }
      current = wholeDisk(below)
    }
    return nil
  }

  private func weights(of device: BlockDevice) -> BlockDevice.Weights {
    guard let disk = scheduled(device) else { return .none(remedy: nil) }
    if let cgroup, let lines = try? cgroup.read("io.cost.qos") {
      // cgroup-v2.rst: `MAJ:MIN enable=1 ctrl=…`, a line for each device that was ever set.
      let words = lines.split(separator: "\n").map { $0.split(separator: " ") }
      if words.contains(where: { $0.first == "\(disk)" && $0.contains("enable=1") }) {
        return .cost
      }
    }
    let scheduler = directory(disk) + "/queue/scheduler"
    let schedulers = (try? Files.readText(scheduler)) ?? ""
    if schedulers.contains("[bfq]") { return .bfq }
    if let cgroup, cgroup.has("io.cost.qos") {
      return .none(remedy: "echo '\(disk) enable=1' > \(cgroup.path)/io.cost.qos")
    }
    return .none(remedy: "modprobe bfq; echo bfq > \(scheduler)")
  }
}
