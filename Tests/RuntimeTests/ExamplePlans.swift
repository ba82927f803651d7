import Descriptor
import Glibc
import SliceKernel
import SliceModel

@testable import SliceRuntime

/// The plans of a slice called `web`, with descriptors that stand for the real ones by their label.
enum ExamplePlans {
  static func descriptor(_ label: String) throws(SystemError) -> SharedFD {
    SharedFD(try Files.open("/dev/null", O_RDWR), label: label)
  }

  static let service = ServiceInvocation(
    command: ["nginx", "-g", "daemon off;"], environment: ["PATH=/bin"], user: "www",
    workdir: "/srv",
    restart: .always)

  static func start(
    hostTrees: [String] = ["usr"], mounts: [TemporaryMount] = []
  ) throws -> LaunchPlan {
    let state = "/var/lib/slices/slices/web"
    return StartPlan(
      root: RootFileSystem(
        stage: "/run/slices/stage", image: try descriptor("image"), upper: state + "/upper",
        work: state + "/work",
        hostTrees: try hostTrees.map { (try descriptor("host's /\($0)"), $0) }, mounts: mounts,
        range: IDRange(first: 0x5000_0000)),
      hostname: "web", network: try descriptor("network namespace"),
      userNamespace: try descriptor("user namespace"), cgroup: try descriptor("cgroup"),
      confinement: try Confinement(), sliceInit: try descriptor("slice-init"), service: service,
      descriptors: ServiceDescriptors(
        null: try descriptor("/dev/null"), control: try descriptor("control socket"),
        log: try descriptor("log directory"), status: try descriptor("status file"))
    ).plan
  }

  /// - Parameter process: any that lives; its namespaces are opened, not joined.
  static func enter(terminal: Bool = false) throws -> LaunchPlan {
    let streams = try ["input", "output", "errors"].map { label in try descriptor(label) }
    return EnterPlan(
      slice: try NamespaceSet(of: PidFD(pid: getpid())), cgroup: try descriptor("cgroup"),
      confinement: try Confinement(), sliceInit: try descriptor("slice-init"), command: service,
      streams: streams, terminal: terminal
    ).plan
  }
}
