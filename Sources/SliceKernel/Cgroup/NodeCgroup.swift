import Descriptor
import Glibc
import SliceModel

/// The part of the cgroup hierarchy that holds a node's slices.
///
/// Under systemd it lies in a unit with `Delegate=yes` that outlives the supervisor's restarts; see
/// slices.service. Whatever process lives directly in it is moved to a leaf, because processes and
/// controllers do not go together in one cgroup (cgroup-v2.rst, "No Internal Process Constraint").
public struct NodeCgroup: Sendable {
  /// Parent of the slices' own.
  public let slices: Cgroup
  /// What the kernel offers for them.
  public let controllers: Set<String>
  /// Those above `slices`, from the lowest up, without the hierarchy's root.
  private let ancestors: [Cgroup]
  /// nil: the kernel has none.
  private let devices = try? DeviceGuard()

  /// The controllers that slices use, where the kernel has them.
  private static let wanted = ["cpu", "cpuset", "memory", "io", "pids"]

  /// For processes that are no slice's. No slice can have this name.
  private static let leaf = "_supervisor"

  /// - Parameter path: below the hierarchy's mount; nil: the supervisor's own unit if systemd started
  ///   it, else /slices.
  public init(path: String? = nil) throws(SliceError) {
    let found = try reporting("find the cgroup v2 hierarchy") { () throws(SystemError) in
      try CgroupFileSystem.find()
    }
    guard let hierarchy = found else {
      throw SliceError(
        .unenforceable, "no cgroup v2 hierarchy is mounted",
        hint: "mount -t cgroup2 none /sys/fs/cgroup")
    }
    let parts = try reporting("find the supervisor's cgroup") { () throws(SystemError) in
      let chosen = if let path { path } else { try Self.ownUnit() ?? "/slices" }
      return chosen.split(separator: "/").map(String.init)
    }
    let target = parts.reduce(Cgroup(path: hierarchy.mountPoint)) { $0.child($1) }
    slices = target
    ancestors = parts.indices.dropFirst().reversed().map { count in
      parts[..<count].reduce(Cgroup(path: hierarchy.mountPoint)) { $0.child($1) }
    }
    controllers = try reporting("prepare the cgroup \(target.path)") { () throws(SystemError) in
      try Self.enable(from: Cgroup(path: hierarchy.mountPoint), down: parts)
    }
  }

  /// The cgroup of this process when it is a service of systemd (INVOCATION_ID, systemd.exec(5)).
  private static func ownUnit() throws(SystemError) -> String? {
    let own = try CgroupFileSystem.ownPath()
    guard own != "/", getenv("INVOCATION_ID") != nil else { return nil }
    return own.hasSuffix("/" + leaf) ? Files.parent(of: own) : own
  }

  /// Makes the path and enables the controllers on the way; returns what arrived at its end.
  private static func enable(
    from root: Cgroup, down parts: [String]
  ) throws(SystemError) -> Set<String> {
    var current = root
    for part in parts {
      try current.enableControllers(wanted)
      current = current.child(part)
      try current.create(existingIsFine: true)
    }
    if !parts.isEmpty { try moveProcesses(of: current) }
    try current.enableControllers(wanted)
    return try current.controllers()
  }

  private static func moveProcesses(of cgroup: Cgroup) throws(SystemError) {
    let processes = try cgroup.read("cgroup.procs").split(separator: "\n")
    guard !processes.isEmpty else { return }
    let leaf = cgroup.child(Self.leaf)
    try leaf.create(existingIsFine: true)
    for pid in processes {
      do {
        try leaf.write(String(pid), to: "cgroup.procs")
      } catch {
        guard error.code == ESRCH else { throw error }  // it has ended meanwhile
      }
    }
  }

  /// Holds all slices together to these ceilings; nil: none. Where the kernel has no such controller
  /// there is nothing to write.
  ///
  /// - Returns: the files that were missing for a ceiling that was asked.
  public func bound(
    cpu: CPUAmount?, memoryBytes: UInt64?, pids: UInt64?
  ) throws(SystemError) -> [String] {
    var missing: [String] = []
    let quota = cpu.map { "\(CPUController.quota($0)) \(CPUController.period)" }
    for (file, value) in [
      ("cpu.max", quota), ("memory.max", memoryBytes.map { "\($0)" }),
      ("pids.max", pids.map { "\($0)" }),
    ] {
      if slices.has(file) {
        try slices.write(value ?? "max", to: file)
      } else if value != nil {
        missing.append(file)
      }
    }
    return missing
  }

  /// Hands the slices' floors down to them: of a cgroup the kernel protects no more than of each
  /// above it (cgroup-v2.rst, memory.min).
  ///
  /// - Parameters: the sums of memory.min and memory.low of all slices, in bytes.
  public func protect(minimum: UInt64, low: UInt64) throws(SystemError) {
    for (file, bytes) in [("memory.min", minimum), ("memory.low", low)] where slices.has(file) {
      try slices.write("\(bytes)", to: file)
      // These are somebody else's, who may protect more for reasons of his own.
      for ancestor in ancestors where ancestor.has(file) {
        guard let present = UInt64(try ancestor.read(file)), present < bytes else { continue }
        try ancestor.write("\(bytes)", to: file)
      }
    }
  }

  /// For who unpacks images: an archive that is made to need memory or processes gets no further.
  /// Where the controllers are missing the sandbox alone bounds it.
  public func importer() throws(SystemError) -> Cgroup {
    let cgroup = slices.child("_import")  // no slice can have this name
    try cgroup.create(existingIsFine: true)
    // xz -9 and zstd --long take up to 2 GiB of dictionary; libarchive's own bounds are below that.
    for (file, value) in [("memory.max", "2147483648"), ("pids.max", "64")] where cgroup.has(file) {
      try cgroup.write(value, to: file)
    }
    return cgroup
  }

  public func slice(_ name: SliceName) -> SliceCgroup {
    SliceCgroup(limits: slices.child(name.text), devices: devices)
  }
}

/// The two cgroups of a slice: the outer holds the limits and stays the supervisor's; the inner is
/// the slice's, which sees it as the root of its hierarchy and may divide it further.
public struct SliceCgroup: Sendable {
  public let limits: Cgroup
  let devices: DeviceGuard?
  public static let inner = "slice"
  public var processes: Cgroup { limits.child(Self.inner) }
  /// For commands from outside while `processes` takes none, see `visitors()`.
  private var visitorsCgroup: Cgroup { limits.child("visitors") }

  /// What a slice may make below its own cgroup: enough for any service manager, and few enough
  /// that removing them takes no time that others have to wait for.
  private static let bounds = [("cgroup.max.depth", "16"), ("cgroup.max.descendants", "1000")]

  /// Makes both and gives the inner one to `owner`, a host id. With the limits of `settings`.
  public func create(
    settings: Settings, device: BlockDevice?, owner: UInt32
  ) throws(SliceError) {
    try reporting("make the cgroup \(limits.path)") { () throws(SystemError) in
      try limits.create()
      try limits.enableControllers(["cpu", "cpuset", "memory", "io", "pids"])
      try processes.create()
    }
    try holdDevices()
    try limits.apply(settings, insteadOf: Settings(), device: device)
    try reporting("delegate the cgroup \(processes.path)") { () throws(SystemError) in
      for (file, value) in Self.bounds { try processes.write(value, to: file) }
      try processes.delegate(to: owner)
    }
  }

  /// Keeps what runs in it to a slice's devices, where the kernel can.
  public func holdDevices() throws(SliceError) {
    guard let devices else { return }
    try reporting("hold the devices of \(limits.path)") { () throws(SystemError) in
      try devices.hold(limits)
    }
  }

  /// Those that hold processes of the slice, where not all that is under its limits is meant.
  public var occupied: [Cgroup] { [processes, visitorsCgroup].filter(\.exists) }

  /// A cgroup of the supervisor's beside the slice's, under the same limits. A slice that hands
  /// controllers to children of its own cgroup has none left that could take processes there
  /// (cgroup-v2.rst, "No Internal Process Constraint"); it must not so keep others from entering.
  public func visitors() throws(SystemError) -> Cgroup {
    try visitorsCgroup.create(existingIsFine: true)
    return visitorsCgroup
  }
}
