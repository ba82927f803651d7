import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// One thing that slices need of a host, and how it stands.
public struct HostFinding: Sendable {
  public enum Status: String, Sendable, CaseIterable {
    case ok
    /// Some limits or grants are refused here.
    case limited
    /// No slice can be built here.
    case missing
  }

  public var title: String
  public var status: Status
  /// What it means for slices: a sentence.
  public var meaning: String
  /// The command that mends it; nil where all is well or nothing helps.
  public var remedy: String?

  init(_ title: String, _ status: Status, _ meaning: String, remedy: String? = nil) {
    self.title = title
    self.status = status
    self.meaning = meaning
    self.remedy = remedy
  }
}

/// What this host can and cannot enforce. Changes nothing, needs no supervisor; as root it also
/// tries what can only be tried.
public enum HostReport {
  /// - Parameter state: the directory where slices are kept, or will be.
  public static func findings(state: String = NodeLayout().state) -> [HostFinding] {
    [kernel(), userNamespaces(), seccomp(), overlay(), storage(state), quotas(state)]
      + controlGroups(state) + [devices()].compactMap { $0 }
      + [pressure(), ipv6(), uplink(), classifier(), bandwidth(), networkTrial(), carriers()]
      .compactMap { $0 }
  }

  // MARK: - What every slice needs

  private static func kernel() -> HostFinding {
    var name = utsname()
    uname(&name)
    let release = withUnsafeBytes(of: name.release) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
    guard numbers.count == 2, (numbers[0], numbers[1]) >= (6, 1) else {
      return HostFinding(
        "kernel", .missing, "\(release) is older than 6.1, with which slices are tested",
        remedy: "apt install linux-image-amd64, on Debian 12 or newer")
    }
    return HostFinding("kernel", .ok, release)
  }

  private static func userNamespaces() -> HostFinding {
    let most = text("/proc/sys/user/max_user_namespaces").flatMap { Int($0) }
    guard let most else {
      return HostFinding(
        "user namespaces", .missing, "the kernel has none (CONFIG_USER_NS)")
    }
    guard most > 0 else {
      return HostFinding(
        "user namespaces", .missing, "they are switched off",
        remedy: "sysctl user.max_user_namespaces=15000")
    }
    return HostFinding("user namespaces", .ok, "up to \(most)")
  }

  /// nil: only root can try.
  private static func devices() -> HostFinding? {
    guard geteuid() == 0 else { return nil }
    do {
      _ = try DeviceGuard()
      return HostFinding("devices", .ok, "cgroups hold slices to those of their own /dev")
    } catch {
      return HostFinding(
        "devices", .limited,
        "cgroups cannot hold them (\(error)): mounts without devices are all that keeps slices off")
    }
  }

  private static func seccomp() -> HostFinding {
    guard text("/proc/sys/kernel/seccomp/actions_avail")?.contains("errno") == true else {
      return HostFinding(
        "seccomp", .missing, "the kernel cannot filter system calls (CONFIG_SECCOMP_FILTER)")
    }
    return HostFinding("seccomp", .ok, "system calls can be filtered")
  }

  private static func overlay() -> HostFinding {
    let known = text("/proc/filesystems")?.split(separator: "\n").contains {
      $0.hasSuffix("\toverlay")
    }
    guard known == true else {
      return HostFinding(
        "overlayfs", .missing, "the kernel has not loaded it", remedy: "modprobe overlay")
    }
    return HostFinding("overlayfs", .ok, "images can be shared copy-on-write")
  }

  /// File systems that can map owners (FS_ALLOW_IDMAP) and hold the upper layer of an overlay.
  private static let goodStorage: Set<String> = ["ext4", "xfs", "btrfs", "f2fs", "bcachefs"]

  private static func storage(_ state: String) -> HostFinding {
    let mount = MountedFileSystem.holding(state)
    let (type, place) = (mount?.type ?? "unknown", mount?.mountPoint ?? "")
    let title = "storage of \(state)"
    if goodStorage.contains(type) { return HostFinding(title, .ok, "\(type), mounted at \(place)") }
    if type == "tmpfs" {
      return HostFinding(
        title, .limited, "tmpfs: slices do not survive a reboot, and use memory for storage",
        remedy: "mount a disk with ext4 or xfs at \(state)")
    }
    return HostFinding(
      title, .missing, "\(type) cannot map the owners of files or hold a writable layer",
      remedy: "mount a disk with ext4 or xfs at \(state)")
  }

  /// What would hold disk.max. Where no supervisor has been and the file system itself has no quotas
  /// it is tried, by root, with an image in memory.
  private static func quotas(_ state: String) -> HostFinding {
    let title = "disk quotas"
    let layout = NodeLayout(state: state)
    let mount = MountedFileSystem.holding(layout.storage)
    // xfs has the shorter word too.
    if let mount, !mount.options.isDisjoint(with: ["prjquota", "pquota"]) {
      return HostFinding(
        title, .ok,
        mount.mountPoint == layout.storage && Files.exists(layout.storageImage)
          ? "disk.max holds, by the image \(layout.storageImage)"
          : "disk.max holds, by project quotas of \(mount.mountPoint)")
    }
    guard geteuid() == 0 else {
      return HostFinding(title, .limited, "only root can find out whether an image can be had")
    }
    guard let obstacle = SliceStorage.obstacle() else {
      return HostFinding(title, .ok, "disk.max holds, by an image that sliced makes at its start")
    }
    return HostFinding(
      title, .limited, "disk.* is refused: \(obstacle.reason)", remedy: obstacle.remedy)
  }

  // MARK: - cgroup v2

  /// Controllers, with the keys that they hold.
  private static let controllers: [(name: String, keys: String)] = [
    ("cpu", "cpu.weight and cpu.max"), ("cpuset", "cpu.set"), ("memory", "memory.*"),
    ("pids", "pids.max"), ("io", "io.*"),
  ]

  private static func controlGroups(_ state: String) -> [HostFinding] {
    guard let hierarchy = try? CgroupFileSystem.find() else {  // unreadable /proc: none
      return [
        HostFinding(
          "cgroup v2", .missing, "no hierarchy is mounted",
          remedy: "mount -t cgroup2 none /sys/fs/cgroup")
      ]
    }
    let root = Cgroup(path: hierarchy.mountPoint)
    let available = (try? root.controllers()) ?? []  // what cannot be read offers none
    var findings = [HostFinding("cgroup v2", .ok, "mounted at \(hierarchy.mountPoint)")]
    for controller in controllers {
      let title = "controller \(controller.name)"
      if available.contains(controller.name) {
        findings.append(HostFinding(title, .ok, "\(controller.keys) can be enforced"))
      } else {
        findings.append(
          HostFinding(
            title, .limited, "\(controller.keys) cannot be enforced, and is refused",
            remedy: remedy(forController: controller.name)))
      }
    }
    if available.contains("io") { findings.append(diskWeights(state)) }
    return findings
  }

  private static func remedy(forController name: String) -> String {
    // Version 1 hierarchies hold the controllers that they have: proc(5), /proc/PID/cgroup.
    let held = text("/proc/self/cgroup")?.split(separator: "\n").contains { line in
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      return fields.count == 3
        && fields[1].split(separator: ",").contains { $0 == name || $0 == "blkio" && name == "io" }
    }
    return held == true
      ? "boot with cgroup_no_v1=all (systemd: systemd.unified_cgroup_hierarchy=1), or try it in the test host: make lab"
      : "boot a kernel with it, without cgroup_disable=\(name)"
  }

  /// Of the storage as it is, or will be.
  private static func diskWeights(_ state: String) -> HostFinding {
    let title = "disk weights"
    let storage = NodeLayout(state: state).storage
    let place = [storage, state].first(where: Files.exists) ?? "/"
    guard let device = BlockDevice.below(place) else {
      return HostFinding(
        title, .limited, "\(place) is on no block device: io.* is refused",
        remedy: "keep the state directory on a disk")
    }
    switch device.weights {
    case .cost:
      return HostFinding(title, .ok, "io.cost is on for device \(device): io.weight holds")
    case .bfq:
      return HostFinding(
        title, .ok, "device \(device) has the BFQ scheduler: io.weight holds, up to 1000")
    case .none(let remedy):
      return HostFinding(
        title, .limited,
        "device \(device) has neither io.cost nor the BFQ scheduler turned on: io.weight is refused",
        remedy: remedy)
    }
  }

  private static func pressure() -> HostFinding {
    Files.exists("/proc/pressure/cpu")
      ? HostFinding("pressure", .ok, "'shares' shows how long slices wait")
      : HostFinding(
        "pressure", .limited, "'shares' cannot show how long slices wait", remedy: "boot with psi=1"
      )
  }

  // MARK: - Network

  private static func ipv6() -> HostFinding {
    Files.exists("/proc/sys/net/ipv6")
      ? HostFinding("IPv6", .ok, "slices get an address of it")
      : HostFinding(
        "IPv6", .limited, "slices get IPv4 alone", remedy: "boot without ipv6.disable=1")
  }

  private static func uplink() -> HostFinding {
    // proc_net(5): Iface Destination Gateway Flags … Mask; a default route has both 0.
    let routes = text("/proc/net/route")?.split(separator: "\n").dropFirst() ?? []
    let fields = routes.map { $0.split(separator: "\t") }
    guard
      let route = fields.first(where: { $0.count > 7 && $0[1] == "00000000" && $0[7] == "00000000" }
      )
    else {
      return HostFinding(
        "uplink", .limited,
        "the host has no default route: slices reach it and each other, not the world",
        remedy: "ip route add default via GATEWAY")
    }
    return HostFinding("uplink", .ok, "\(route[0])")
  }

  /// Loads a program and hangs it on a link, in a namespace of its own. Root only.
  private static func classifier() -> HostFinding? {
    guard geteuid() == 0 else { return nil }
    let title = "classifier"
    do {
      try Classifier.requireSupport()
      return HostFinding(title, .ok, "slices can be held to their own addresses")
    } catch {
      return HostFinding(
        title, .limited,
        "slices cannot be held to their own addresses, and get no link: \(error.message)",
        remedy: "modprobe -a cls_bpf sch_ingress, or --set net.mode=none")
    }
  }

  /// Tries a tree of classes in a namespace of its own, and looks at who queues on the links with a
  /// default route. Root only.
  private static func bandwidth() -> HostFinding? {
    guard geteuid() == 0 else { return nil }
    let title = "bandwidth"
    do {
      try TrafficControl.requireSupport()
    } catch {
      return HostFinding(
        title, .limited,
        "net.weight, net.min, net.max and net.in.max are refused: \(error.message)",
        remedy: UplinkKeeper.modules)
    }
    // What can't be asked is no finding of this kind.
    guard let control = try? TrafficControl(), let links = try? NetworkControl().uplinks() else {
      return nil
    }
    var speeds: [String] = []
    for (name, _, _) in links {
      let index = if_nametoindex(name)
      if case .foreign(let kind) = try? control.root(of: name, index: index) {
        return HostFinding(
          title, .limited,
          "\(name) has a qdisc of its own, \(kind): net.weight, net.min and net.max are refused",
          remedy: "tc qdisc del dev \(name) root")
      }
      let speed = control.speed(of: name).map { BitRate(bitsPerSecond: $0) }
      speeds.append(
        speed.map { "\(name) sends \($0)bit/s" }
          ?? "\(name) doesn't tell its speed: net.min needs net in [total] of node.toml")
    }
    return HostFinding(
      title, .ok, (["rates and shares hold"] + speeds).joined(separator: "; "))
  }

  /// Builds a network namespace and the address translation inside it. Root only; moves the calling
  /// thread into that namespace for good, so it comes last in a short-lived process.
  private static func networkTrial() -> HostFinding? {
    guard geteuid() == 0 else { return nil }
    let title = "network"
    guard kernel_unshare(kernel_new_net) == 0 else {
      return HostFinding(
        title, .missing,
        "no network namespace can be made: \(SystemError(code: errno, operation: "unshare"))",
        remedy: "sysctl user.max_net_namespaces=15000")
    }
    let pools: [AddressPool] = [.ipv4(NodePolicy().addresses4)]
    let prefix = SliceLink.prefix
    do {
      try Translation.install(
        pools, linkPrefix: prefix, ports: SharedPorts().translated, publishers: nil)
    } catch {
      return HostFinding(
        title, .limited, "slices reach the host and each other, not the world: \(error.message)",
        remedy: "modprobe -a nf_tables nft_masq nft_chain_nat")
    }
    do {
      try Translation.install(
        pools, linkPrefix: prefix, ports: SharedPorts().translated, publishers: [])
      return HostFinding(title, .ok, "namespaces, links and address translation work")
    } catch {
      return HostFinding(
        title, .limited, "slices cannot publish ports: \(error.message)",
        remedy: "modprobe -a nft_nat nft_fib_inet")
    }
  }

  // MARK: - Parts

  private static func text(_ path: String) -> String? {
    try? Files.readText(path)  // absent where the kernel lacks the thing: that is the answer
  }
}
