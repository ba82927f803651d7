/// What a host has, as far as slices may get some of it.
public struct HostFacts: Sendable, Hashable {
  public var memoryBytes: UInt64
  /// Those that are online.
  public var processors: ProcessorSet
  /// How many process ids there are (kernel.pid_max).
  public var processIDs: UInt64

  public init(memoryBytes: UInt64, processors: ProcessorSet, processIDs: UInt64) {
    self.memoryBytes = memoryBytes
    self.processors = processors
    self.processIDs = processIDs
  }
}

/// What all slices of a node have together: ceilings that the kernel holds on their parent cgroup,
/// and what their floors may come to.
public struct NodeCapacity: Sendable, Hashable {
  public var millicores: UInt64
  /// Whole MiB.
  public var memoryBytes: UInt64
  /// Processes and threads.
  public var pids: UInt64
  /// What the quotas of all slices may add up to; nil: anything.
  public var diskBytes: UInt64?
  /// What all slices can send by each link to the world; nil: nobody knows.
  public var bitsPerSecond: UInt64?

  public init(
    millicores: UInt64, memoryBytes: UInt64, pids: UInt64, diskBytes: UInt64? = nil,
    bitsPerSecond: UInt64? = nil
  ) {
    self.millicores = millicores
    self.memoryBytes = memoryBytes
    self.pids = pids
    self.diskBytes = diskBytes
    self.bitsPerSecond = bitsPerSecond
  }
}

extension NodePolicy {
  /// The ceilings of all slices together. A node brings down its site when its own services find no
  /// processor, memory or process id left.
  public struct Total: Sendable, Hashable {
    /// Nil: all processors less the reserve.
    public var cpu: CPUAmount?
    /// Nil: all memory less the reserve.
    public var memory: ByteSize?
    /// Nil: three quarters of the process ids.
    public var pids: UInt64?
    /// Nil: quotas are not added up.
    public var disk: ByteSize?
    /// By each link to the world. Nil: as much as the link can.
    public var net: BitRate?
    public init() {}
  }

  /// What slices never get.
  public struct Reserve: Sendable, Hashable {
    /// Nil: none. Processor time is shared by weight, so the host's services still get theirs.
    public var cpu: CPUAmount?
    /// Nil: see `defaultReserve`.
    public var memory: ByteSize?
    public init() {}
  }

  /// A tenth of the memory, at least 256 MiB, at most 4 GiB; on a very small host half of it.
  static func defaultReserve(memoryBytes: UInt64) -> UInt64 {
    min(max(memoryBytes / 10, 256 << 20), 4 << 30, memoryBytes / 2)
  }

  /// The smaller of what the policy grants all slices and what the host has beside its reserve.
  ///
  /// - Throws: `usage` when that is nothing.
  public func capacity(of host: HostFacts) throws(SliceError) -> NodeCapacity {
    let memory = reserve.memory?.bytes ?? Self.defaultReserve(memoryBytes: host.memoryBytes)
    let bytes = host.memoryBytes - min(memory, host.memoryBytes)
    let mebibytes = min(total.memory?.bytes ?? .max, bytes) >> 20
    guard mebibytes > 0 else {
      throw Self.nothingLeft(
        "memory", reserve: ByteSize(bytes: memory), of: ByteSize(bytes: host.memoryBytes))
    }
    let processors = UInt64(host.processors.count) * 1000
    let cpu = reserve.cpu?.millicores ?? 0
    // The least that cpu.max takes.
    guard processors >= cpu + 10 else {
      throw Self.nothingLeft(
        "cpu", reserve: CPUAmount(millicores: cpu), of: CPUAmount(millicores: processors))
    }
    return NodeCapacity(
      millicores: min(total.cpu?.millicores ?? .max, processors - cpu),
      memoryBytes: mebibytes << 20,
      pids: total.pids.map { min($0, host.processIDs) } ?? host.processIDs / 4 * 3,
      diskBytes: total.disk?.bytes, bitsPerSecond: total.net?.bitsPerSecond)
  }

  private static func nothingLeft(
    _ resource: String, reserve: some CustomStringConvertible, of host: some CustomStringConvertible
  ) -> SliceError {
    SliceError(
      .usage, "reserve.\(resource)=\(reserve) leaves slices nothing of this host's \(host)",
      hint: "set reserve.\(resource) in /etc/slices/node.toml to less")
  }
}
