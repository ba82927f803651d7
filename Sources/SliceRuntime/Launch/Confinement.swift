import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// What every process of a slice is put under, whether it starts the slice or enters it later:
/// one list, so that no way in is weaker than another.
public struct Confinement: Sendable {
  /// Loaded last, in this order.
  private let programs: [SeccompProgram]
  /// Whether the first of them asks, and so needs somebody who listens.
  private let asks: Bool
  private let capabilities: CapabilitySet

  /// With the default profile.
  public init() throws(SliceError) {
    self.init(
      programs: try SeccompProfile.networkService().programs, asks: false,
      capabilities: try CapabilitySet(names: Self.capabilityNames))
  }

  private init(programs: [SeccompProgram], asks: Bool, capabilities: CapabilitySet) {
    self.programs = programs
    self.asks = asks
    self.capabilities = capabilities
  }

  /// The same with other filters.
  func with(_ programs: [SeccompProgram], asking: Bool) -> Confinement {
    Confinement(programs: programs, asks: asking, capabilities: capabilities)
  }

  /// What root of a user namespace needs to be root of its own files and processes. Absent are
  /// those that only enlarge the kernel's attack surface: CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW,
  /// CAP_SYS_PTRACE, CAP_MKNOD and the rest of capabilities(7).
  static let capabilityNames = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
    "CAP_AUDIT_WRITE",
  ]

  /// The last steps of a launch, in this order: limits while still privileged enough to set them,
  /// the user namespace, the identity in it, then what can only shrink.
  ///
  /// - Parameter listener: the number under which the program that is executed has the listener, where
  ///   a filter asks; nil: it has not.
  public func steps(userNamespace: SharedFD, listener: Int? = nil) -> [LaunchStep] {
    limits.map(LaunchStep.limit) + [
      .joinNamespace(userNamespace, .user),
      .becomeRoot,
      .restrictCapabilities(capabilities),
      .forbidNewPrivileges,
    ] + filters(listener)
  }

  private func filters(_ listener: Int?) -> [LaunchStep] {
    programs.enumerated().map { place, program in
      asks && place == 0
        ? .filterWithListener(program, keptAs: listener) : .filterSystemCalls(program)
    }
  }

  /// No core files; descriptors as systemd gives them (1024 soft, as select(2) needs; 512 Ki hard).
  /// A hard limit can be lowered by anybody and raised only with CAP_SYS_RESOURCE, so it is never
  /// asked to be above the supervisor's own. What the supervisor has raised for itself is as it came.
  private var limits: [ResourceLimit] {
    var files = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
    let hard = min(UInt64(files.rlim_max), 524_288)
    return [
      ResourceLimit(name: "RLIMIT_CORE", resource: Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0),
      ResourceLimit(
        name: "RLIMIT_NOFILE", resource: Int32(RLIMIT_NOFILE.rawValue), soft: min(1024, hard),
        hard: hard),
    ] + SharedLimits.ofSlices
  }
}
