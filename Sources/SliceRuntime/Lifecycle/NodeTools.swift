import CKernel
import Descriptor
import SliceKernel
import SliceModel

/// The runtime's own programs, run in slices like any command: confined like it, in the slice's cgroup,
/// and executed by descriptor, so that nothing of the slice's files is needed or asked.
extension Node {
  /// Has a slice's packets written as pcapng, until the other end of `stop` is closed.
  ///
  /// - Parameters:
  ///   - link: of the slice's, such as `eth0`.
  ///   - snapshot: bytes of each packet at most; the filter gives no more.
  public func capture(
    _ slice: ManagedSlice, link: String, filter: [FilterInstruction], snapshot: Int,
    output: SharedFD, stop: SharedFD
  ) throws(SliceError) -> PidFD {
    let process = try slice.requireRunning()
    let bytes = SliceEnvironment.ringBytes(slice.settings)
    // A quarter is for what the kernel takes for an AF_XDP socket (xdp_reserve() of the broker).
    let most = try slice.settings.rawGrants()?.hasXDP == true ? bytes - bytes / 4 : bytes
    // One after another, so that two don't take the same room.
    let capture = try captures.withLock { (_) throws(SliceError) in
      try PacketCapture(
        in: try NetworkNamespace(of: process), link: link, filter: filter,
        ringBytes: most)
    }
    return try environment.run(
      .capture,
      arguments: [
        link, "\(snapshot)", "\(PacketCapture.blockSize)", "\(capture.blocks)",
      ], streams: [capture.socket, output, stop], in: slice.record, process: process)
  }

  /// Has a slice send or receive measured traffic; see slice-traffic.
  public func traffic(
    _ slice: ManagedSlice, arguments: [String], streams: [SharedFD]
  ) throws(SliceError) -> PidFD {
    try environment.run(
      .traffic, arguments: arguments, streams: streams, in: slice.record,
      process: try slice.requireRunning())
  }
}

extension SliceEnvironment {
  enum Tool: String {
    case capture = "slice-capture"
    case traffic = "slice-traffic"
  }

  /// - Parameter streams: the program's 0, 1 and 2.
  func run(
    _ tool: Tool, arguments: [String], streams: [SharedFD], in record: SliceRecord, process: PidFD
  ) throws(SliceError) -> PidFD {
    let name = try SliceName(record.name)
    let (namespaces, group, program) = try reporting(
      "run \(tool.rawValue) in \(name)", hint: "is the installation complete?"
    ) { () throws(SystemError) in
      (
        try NamespaceSet(of: process), try cgroup.slice(name).processes.open(),
        SharedFD(
          try Files.open(layout.programs + "/" + tool.rawValue, kernel_path_only),
          label: tool.rawValue)
      )
    }
    let plan = EnterPlan(
      slice: namespaces, cgroup: group,
      confinement: try confinements.ofEntry(record.spec.settings, asking: false), program: program,
      arguments: [tool.rawValue] + arguments, streams: streams
    ).plan
    return try enter(name, by: plan) {
      SliceError(.failed, "run \(tool.rawValue) in \(name): \($0)")
    }
  }
}
