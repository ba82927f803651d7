import SliceKernel
import SliceModel

/// The steps that make a slice's root directory, from the staging area to the pivot.
struct RootFileSystem {
  /// The directory that the staging area covers, in the slice's mount namespace alone.
  let stage: String
  /// The image's tree, owners mapped; detached.
  let image: SharedFD
  let upper: String
  let work: String
  /// Trees of the host shown read-only at places of the root.
  let hostTrees: [(tree: SharedFD, place: String)]
  let mounts: [TemporaryMount]
  let range: IDRange
  /// Where the slice asks its broker for things, /run/slice; nil: it has none.
  var requests: SharedFD?
  /// Whether the slice has TUN devices of its own.
  var hasTunnels = false

  /// What masked directories show: one directory for all, where a file system for each would cost
  /// as much as the rest of the launch.
  private var empty: String { stage + "/empty" }

  var steps: [LaunchStep] {
    [.makeMountsPrivate] + overlay + hostTrees.map { .attach($0.tree, on: $0.place) } + kernelFiles
      + devices + scratch + masks + [.pivotRoot]
  }

  // MARK: - The parts, in order

  private var overlay: [LaunchStep] {
    let lower = stage + "/image"
    let root = stage + "/root"
    return [
      .mountOnHost(
        FileSystem("tmpfs", [.init("mode", "0700"), .init("size", "64k")], .noDevices), at: stage),
      .makeHostDirectory(lower, mode: 0o755),
      .attachToHost(image, at: lower),
      .makeHostDirectory(empty, mode: 0o555),
      .makeHostDirectory(root, mode: 0o755),
      .mountOnHost(
        FileSystem(
          "overlay",
          [
            .init("source", "slice"), .init("lowerdir", lower), .init("upperdir", upper),
            .init("workdir", work),
          ], [.noSetuid, .noDevices]), at: root),
      .setRoot(root),
    ]
  }

  private let kernelAttributes: MountAttributes = [.noSetuid, .noDevices, .noExecute]

  private var kernelFiles: [LaunchStep] {
    [
      .makeDirectory("proc", mode: 0o555),
      .mount(FileSystem("proc", [], kernelAttributes), on: "proc"),
      .makeDirectory("sys", mode: 0o555),
      .mount(FileSystem("sysfs", [], kernelAttributes.union(.readOnly)), on: "sys"),
      .mount(FileSystem("cgroup2", [], kernelAttributes), on: "sys/fs/cgroup", ifPresent: true),
    ]
  }

  /// A /dev that belongs to the host's root: nothing inside can put a link in the way of a later
  /// look-up.
  private var devices: [LaunchStep] {
    let nodes: [(name: String, minor: UInt32)] = [
      ("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9),
    ]
    let links = [
      ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
      ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ]
    return [
      .makeDirectory("dev", mode: 0o755),
      .mount(
        FileSystem(
          "tmpfs", [.init("mode", "0755"), .init("size", "64k"), .init("nr_inodes", "64")],
          [.noSetuid, .noExecute]), on: "dev"),
    ]
      + nodes.map {
        .makeDevice("dev/\($0.name)", major: 1, minor: $0.minor, mode: 0o666)
      } + [
        .makeDevice("dev/tty", major: 5, minor: 0, mode: 0o666)
      ] + tunnelDevice + links.map { .makeSymlink("dev/\($0.0)", to: $0.1) } + [
        .makeDirectory("dev/pts", mode: 0o755),
        // Group 5 is tty wherever there are terminals.
        .mount(
          FileSystem(
            "devpts",
            [
              .init("ptmxmode", "0666"), .init("mode", "0620"), .init("gid", "\(range.first + 5)"),
            ], [.noSetuid, .noExecute]), on: "dev/pts"),
        .makeDirectory("dev/shm", mode: 0o755),
        .mount(
          FileSystem("tmpfs", [.init("mode", "1777")], kernelAttributes), on: "dev/shm"),
        .makeDirectory("dev/mqueue", mode: 0o755),
        .mount(FileSystem("mqueue", [], kernelAttributes), on: "dev/mqueue"),
      ]
  }

  /// As every host has it. Making a TUN device by it takes a capability that no slice has; attaching to one
  /// that was made for it doesn't.
  private var tunnelDevice: [LaunchStep] {
    guard hasTunnels else { return [] }
    return [
      .makeDirectory("dev/net", mode: 0o755),
      .makeDevice("dev/net/tun", major: 10, minor: 200, mode: 0o666),
    ]
  }

  private var scratch: [LaunchStep] {
    let owner: [FileSystem.Option] = [
      .init("uid", "\(range.first)"), .init("gid", "\(range.first)"),
    ]
    let plain: MountAttributes = [.noSetuid, .noDevices]
    var steps: [LaunchStep] = [
      .makeDirectory("tmp", mode: 0o755),
      .mount(FileSystem("tmpfs", [.init("mode", "1777")] + owner, plain), on: "tmp"),
      .makeDirectory("run", mode: 0o755),
      .mount(FileSystem("tmpfs", [.init("mode", "0755")] + owner, plain), on: "run"),
    ]
    for mount in mounts {
      var path = ""
      for part in mount.target.split(separator: "/") {
        path += path.isEmpty ? String(part) : "/" + part
        steps.append(.makeDirectory(path, mode: 0o755))
      }
      let size = mount.sizeBytes.map { [FileSystem.Option("size", "\($0)")] } ?? []
      steps.append(
        .mount(FileSystem("tmpfs", [.init("mode", "0755")] + owner + size, plain), on: path))
    }
    guard let requests else { return steps }
    return steps + [.makeDirectory("run/slice", mode: 0o755), .attach(requests, on: "run/slice")]
  }

  /// What tells of the host or reaches into it, although the kernel's own permission checks would
  /// refuse most of it to an id of a slice: a second lock on doors that were forgotten before.
  static let maskedFiles = [
    "proc/kcore", "proc/keys", "proc/key-users", "proc/kallsyms", "proc/kmsg", "proc/timer_list",
    "proc/timer_stats", "proc/sched_debug", "proc/latency_stats", "proc/kpagecount",
    "proc/kpageflags", "proc/kpagecgroup", "proc/vmallocinfo", "proc/slabinfo", "proc/pagetypeinfo",
    "proc/iomem", "proc/ioports", "proc/interrupts", "proc/sysrq-trigger", "proc/config.gz",
    "proc/modules",
  ]
  static let maskedDirectories = [
    "proc/acpi", "proc/asound", "proc/pressure", "proc/scsi", "sys/firmware", "sys/kernel/debug",
    "sys/kernel/tracing", "sys/kernel/security", "sys/kernel/slab", "sys/module", "sys/fs/bpf",
    "sys/fs/fuse", "sys/devices/virtual/powercap",
  ]
  static let readOnlyDirectories = ["proc/sys", "proc/bus", "proc/fs", "proc/irq"]

  private var masks: [LaunchStep] {
    let readOnly = kernelAttributes.union(.readOnly)
    return Self.maskedFiles.map { .maskFile($0, with: "dev/null") }
      + Self.maskedDirectories.map { .maskDirectory($0, with: empty, readOnly) }
      + Self.readOnlyDirectories.map { .remount($0, readOnly) }
  }
}
