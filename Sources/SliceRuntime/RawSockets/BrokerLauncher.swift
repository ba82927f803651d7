import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// A slice's broker that lives, and the connection to it.
struct RunningBroker: Sendable {
  let process: PidFD
  let control: RawControl
}

/// Starts brokers, and finds those of an earlier supervisor.
struct BrokerLauncher: Sendable {
  private let stage: String
  private let program: SharedFD
  private let null: SharedFD
  private let capabilities: CapabilitySet

  init(layout: NodeLayout) throws(SliceError) {
    stage = layout.stage
    (program, null) = try reporting("open slice-broker", hint: "is the installation complete?") {
      () throws(SystemError) in
      (
        SharedFD(try Files.open(layout.broker, kernel_path_only), label: "slice-broker"),
        SharedFD(try Files.open("/dev/null", O_RDWR), label: "/dev/null")
      )
    }
    capabilities = try CapabilitySet(names: ["CAP_IPC_LOCK", "CAP_NET_RAW", "CAP_SETPCAP"])
  }

  /// Below the slice's limits, beside what the slice sees.
  private func cgroup(_ slice: SliceCgroup) -> Cgroup { slice.limits.child("broker") }

  /// - Parameter process: of the slice: slice-init, or the child that is about to become it.
  func launch(
    _ name: SliceName, process: PidFD, listener: SharedFD, state: SharedFD, layout: SliceLayout,
    cgroup slice: SliceCgroup
  ) throws(SliceError) -> RunningBroker {
    let plan = try reporting("prepare the broker of \(name)") { () throws(SystemError) in
      let group = cgroup(slice)
      try group.create(existingIsFine: true)
      try Self.end(Self.members(of: group))
      return BrokerPlan(
        stage: stage, program: program, null: null, slice: try NamespaceSet(of: process),
        cgroup: try group.open(), listener: listener,
        control: SharedFD(
          OwnedFD(
            adopting: try checked("bind", layout.broker) {
              kernel_listen_seqpacket(layout.broker)
            }), label: "broker's control socket"),
        requests: try Self.listenToSlice(layout.requestSocket),
        processes: try Self.processFiles(of: process), state: state, capabilities: capabilities
      ).plan
    }
    let broker: PidFD
    do throws(LaunchFailure) {
      broker = try plan.run(timeout: 10_000)
    } catch {
      throw SliceError(.failed, "start the broker of \(name): \(error)")
    }
    do throws(SystemError) {
      return RunningBroker(process: broker, control: try RawControl(path: layout.broker))
    } catch {
      // Its own child: there is nobody else to end it.
      try? broker.signal(SIGKILL)
      _ = try? broker.wait()
      throw SliceError(error).within("connect to the broker of \(name)")
    }
  }

  /// A listening socket that every user of the slice may connect to, in a directory that only the slice can
  /// reach.
  private static func listenToSlice(_ path: String) throws(SystemError) -> SharedFD {
    let socket = SharedFD(
      OwnedFD(adopting: try checked("bind", path) { kernel_listen_seqpacket(path) }),
      label: "broker's socket for the slice")
    try checked("chmod", path) { chmod(path, 0o666) }
    return socket
  }

  /// The slice's own /proc, by a path without links, and only if it is one.
  private static func processFiles(of process: PidFD) throws(SystemError) -> SharedFD {
    let root = try RootedPath(root: "/proc/\(process.pid)/root")
    let files = try root.open("proc", O_RDONLY | O_DIRECTORY)
    let number = files.rawValue
    var magic: Int64 = 0
    try checked("fstatfs", "proc") { kernel_file_system_magic(number, &magic) }
    guard magic == 0x9FA0 /* PROC_SUPER_MAGIC */, !process.hasEnded() else {
      throw SystemError(code: ENXIO, operation: "open", subject: "proc: not a proc file system")
    }
    return SharedFD(files, label: "process files of the slice")
  }

  /// The one that an earlier supervisor started, if it lives and takes connections: alone in its cgroup.
  func find(_ slice: SliceCgroup, layout: SliceLayout) -> RunningBroker? {
    guard let process = Self.members(of: cgroup(slice)).first,
      let control = try? RawControl(path: layout.broker)
    else { return nil }
    return RunningBroker(process: process, control: control)
  }

  /// The processes of a cgroup; none where it has gone.
  private static func members(of group: Cgroup) -> [PidFD] {
    func pids() -> [Int32] {
      ((try? group.read("cgroup.procs")) ?? "").split(separator: "\n").compactMap { Int32($0) }
    }
    // 0 is a process of a namespace that cannot be seen from here.
    let held = pids().filter { $0 > 0 }.compactMap { try? PidFD(pid: $0) }
    // Now that they are held: still those.
    let present = Set(pids())
    return held.filter { present.contains($0.pid) }
  }

  /// Ends brokers that nobody can reach, which would go on answering beside the next one. Not by
  /// cgroup.kill: under Linux 6.18 a child that is then born into that cgroup is killed as well.
  ///
  /// - Throws: EBUSY where one does not end within a second.
  private static func end(_ brokers: [PidFD]) throws(SystemError) {
    for broker in brokers { try? broker.signal(SIGKILL) }  // ESRCH: it has ended
    for broker in brokers where !broker.hasEnded(within: 1000) {
      throw SystemError(code: EBUSY, operation: "kill", subject: "earlier broker \(broker.pid)")
    }
  }

  /// The listeners that a broker serves beside the slice's first, which an earlier supervisor gave it.
  func visitors(of broker: RunningBroker) -> [SharedFD] {
    let files = "/proc/\(broker.process.pid)/fd"
    // Of one that has just ended there is nothing to take over.
    return ((try? Files.list(files)) ?? []).compactMap { name in
      guard let number = Int32(name), number > BrokerPlan.listenerNumber,
        HostPath.link(files + "/" + name) == "anon_inode:seccomp notify"
      else { return nil }
      return try? broker.process.descriptor(number, label: "listener of a filter")
    }
  }
}
