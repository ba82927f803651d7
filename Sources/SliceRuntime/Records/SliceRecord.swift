import SliceModel

/// What is kept of a slice on disk: what was asked, and what was given for it.
public struct SliceRecord: Sendable, Hashable, Codable {
  /// Of this file's form; a later version reads the earlier ones.
  public var version = 1
  public var name: String
  /// User id of the owner, on the host.
  public var owner: UInt32
  /// The owner's name when the slice was created.
  public var ownerName: String
  /// Nanoseconds since 1970, UTC.
  public var createdAt: UInt64
  public var spec: SliceSpec
  /// The image as it was found at creation: its tree does not change under a slice.
  public var image: ImageIdentity
  /// The slice's number on this node: its address, id range and link derive from it. Free again
  /// when the slice is destroyed.
  public var number: Int
  /// Keys of the spec that this host does not enforce.
  public var unenforced: [String]
  /// Nil: it lives until it is destroyed.
  public var lease: Lease?
  /// Whether it should run: a reboot starts it again.
  public var wanted: Wanted
  /// The last start, while its processes may live.
  public var run: Run?
  /// How the last run ended.
  public var ended: End?
  /// The latest want of memory of the present run, or of the last one.
  public var outOfMemory: OutOfMemory?

  public enum Wanted: String, Sendable, Hashable, Codable { case running, stopped }

  public struct Run: Sendable, Hashable, Codable {
    /// slice-init's on the host.
    public var pid: Int32
    /// Of slice-init, in clock ticks since boot (proc_pid_stat(5), field 22): with the pid it names
    /// a process for good.
    public var startTicks: UInt64
    /// Of the boot in which it was started.
    public var bootID: String
    public var startedAt: UInt64
    public var paused: Bool
    /// It was started with `raw.allow`: its filter asks a broker. Nil in records of earlier versions.
    public var hasRawSockets: Bool?
  }

  public struct End: Sendable, Hashable, Codable {
    public var at: UInt64
    public var exitCode: UInt8?
    public var signal: Int32?
    /// By request, and not by itself.
    public var stopped: Bool
    /// Why it could not be started, when it could not.
    public var reason: String?
    /// Whether the kernel ended it for want of memory; see `outOfMemory` beside.
    public var outOfMemory: Bool?

    public var status: ExitStatus? {
      exitCode.map(ExitStatus.exited) ?? signal.map(ExitStatus.signaled)
    }
  }

  public init(
    name: SliceName, owner: UInt32, ownerName: String, createdAt: UInt64, spec: SliceSpec,
    image: ImageIdentity, number: Int, unenforced: [String]
  ) {
    self.name = name.text
    self.owner = owner
    self.ownerName = ownerName
    self.createdAt = createdAt
    self.spec = spec
    self.image = image
    self.number = number
    self.unenforced = unenforced
    wanted = .stopped
    lease = spec.settings.lease.map { Lease($0, from: createdAt) }
  }

  /// Notes the end of the run, or with no status that none came about.
  mutating func end(
    _ status: ExitStatus?, stopped: Bool, reason: String? = nil, exitedAt: UInt64? = nil
  ) {
    run = nil
    var end = End(at: Clock.now, exitCode: nil, signal: nil, stopped: stopped, reason: reason)
    switch status {
    case .exited(let code): end.exitCode = code
    case .signaled(let number): end.signal = number
    case nil: break
    }
    if let status, !stopped { end.outOfMemory = isForWantOfMemory(status, at: exitedAt ?? end.at) }
    ended = end
  }

  /// Between the kernel's word that it killed for want of memory and the end of who was killed.
  private static let killTakes: UInt64 = 5_000_000_000  // ns

  /// Whether a process that ended so at this time was killed for want of memory. A shell passes on
  /// the end of its child as status 137.
  public func isForWantOfMemory(_ status: ExitStatus, at time: UInt64) -> Bool {
    guard status.shellStatus == 128 + 9, let outOfMemory else { return false }
    return outOfMemory.at > time || time - outOfMemory.at < Self.killTakes
  }

  /// Why it is not as it should be, for a person; nil where all is well.
  public var reason: String? {
    guard run == nil, let ended else { return nil }
    return ended.outOfMemory == true ? outOfMemory?.description : ended.reason
  }

  public var state: SliceState {
    if let run { return run.paused ? .paused : .running }
    guard let ended else { return .created }
    return ended.stopped || ended.status?.isSuccess == true ? .stopped : .failed
  }
}

/// Which image a slice was built from.
public struct ImageIdentity: Sendable, Hashable, Codable {
  /// The name that was asked for.
  public var name: String
  /// `sha256:…` of a stored image; nil for `host` and `minimal`.
  public var digest: String?
  /// The directory of its tree, below the image store.
  public var directory: String
  public var usesHostPrograms: Bool
}
