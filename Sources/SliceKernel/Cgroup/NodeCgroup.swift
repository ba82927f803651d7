import Descriptor
import Glibc
import SliceModel

/// The part of the cgroup hierarchy that holds a node's slices.
///
/// Under systemd it is the supervisor's own unit, which must say `Delegate=yes`: the supervisor
/// moves into a leaf of it, because processes and controllers do not go together in one cgroup
/// (cgroup-v2.rst, "No Internal Process Constraint"). Elsewhere it is /slices of the hierarchy.
public struct NodeCgroup: Sendable {
  /// Parent of the slices' own.
  public let slices: Cgroup
  /// What the kernel offers for them.
  public let controllers: Set<String>

  /// The controllers that slices use, where the kernel has them.
  private static let wanted = ["cpu", "cpuset", "memory", "io", "pids"]

  /// - Parameter path: below the hierarchy's mount, instead of what is found out.
  public init(path: String? = nil) throws(SliceError) {
    let found = try reporting("find the cgroup v2 hierarchy") { () throws(SystemError) in
      try CgroupFileSystem.find()
    }
    guard let hierarchy = found else {
      throw SliceError(
        .unenforceable, "no cgroup v2 hierarchy is mounted",
        hint: "mount -t cgroup2 none /sys/fs/cgroup")
    }
    let (base, own) = try reporting("find the supervisor's cgroup") { () throws(SystemError) in
      let own = try CgroupFileSystem.ownPath()
      // INVOCATION_ID: set by systemd for its services (systemd.exec(5)).
      let isService = own != "/" && getenv("INVOCATION_ID") != nil
      return (path ?? (isService ? own : "/slices"), isService)
    }
    let unit = Cgroup(path: hierarchy.mountPoint + base)
    let target = own && path == nil ? unit.child("slices") : unit
    slices = target
    controllers = try reporting("prepare the cgroup \(target.path)") { () throws(SystemError) in
      if own && path == nil {
        let leaf = unit.child("supervisor")
        try leaf.create(existingIsFine: true)
        try leaf.write("\(getpid())", to: "cgroup.procs")
      }
      return try NodeCgroup.enable(from: hierarchy.mountPoint, down: target)
    }
  }

  /// Makes the path and enables the controllers on the way; returns what arrived at its end.
  private static func enable(
    from mountPoint: String, down target: Cgroup
  ) throws(SystemError) -> Set<String> {
    var current = Cgroup(path: mountPoint)
    for part in target.path.dropFirst(mountPoint.count).split(separator: "/") {
      try current.enableControllers(wanted)
      current = current.child(String(part))
      try current.create(existingIsFine: true)
    }
    try current.enableControllers(wanted)
    return try current.controllers()
  }

  public func slice(_ name: SliceName) -> SliceCgroup {
    SliceCgroup(limits: slices.child(name.text))
  }
}

/// The two cgroups of a slice: the outer holds the limits and stays the supervisor's; the inner is
/// the slice's, which sees it as the root of its hierarchy and may divide it further.
public struct SliceCgroup: Sendable {
  public let limits: Cgroup
  public var processes: Cgroup { limits.child("slice") }

  /// Makes both and gives the inner one to `owner`, a host id. With the limits of `settings`.
  public func create(
    settings: Settings, device: BlockDevice?, owner: UInt32
  ) throws(SliceError) {
    try reporting("make the cgroup \(limits.path)") { () throws(SystemError) in
      try limits.create()
      try limits.enableControllers(["cpu", "cpuset", "memory", "io", "pids"])
    }
    try limits.apply(settings, insteadOf: Settings(), device: device)
    try reporting("delegate the cgroup \(processes.path)") { () throws(SystemError) in
      try processes.create()
      try processes.delegate(to: owner)
    }
  }
}
