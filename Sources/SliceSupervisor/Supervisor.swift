import CKernel
import Descriptor
import Glibc
import Logging
import SliceConfiguration
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime
import Varlink

/// The supervisor of a node: the runtime behind a socket.
public final class Supervisor: Sendable {
  public struct Options: Sendable {
    public var layout = NodeLayout()
    public var socket = SliceInterface.defaultSocket
    /// The node's policy; a file that does not exist means the defaults.
    public var policyFile = "/etc/slices/node.toml"
    /// Below the cgroup v2 mount; nil: found out.
    public var cgroup: String?
    public init() {}
  }

  private let server: VarlinkServer
  private let logger: Logger
  /// Held for the life of the process: two supervisors of one node would undo each other.
  private let lock: OwnedFD

  /// Takes over the node and starts to serve.
  public init(_ options: Options, version: String, logger: Logger) throws(SliceError) {
    self.logger = logger
    lock = try Self.prepareProcess(options.layout, logger)
    let policy = try Self.readPolicy(options.policyFile)
    let events = EventLog()
    let node = try Node(
      layout: options.layout, policy: policy, cgroupPath: options.cgroup,
      notify: { event in
        events.record(event)
        logger.info("\(event.kind)", metadata: Self.metadata(event))
      })
    let interface = SlicesInterface(
      node: node, authorization: Authorization(adminGroup: policy.adminGroup), events: events,
      executions: ExecutionTable(),
      unpack: try UnpackSandbox(layout: options.layout, cgroup: node.cgroup))
    var limits = VarlinkServer.Limits()
    limits.threadStackSize = 512 << 10
    #if DEBUG
      switch Mutation.current {
      case .longMessages: limits.messageSize = 1 << 30
      case .manyConnections:
        (limits.connectionsOfRoot, limits.receiveTime) = (limits.connections, .seconds(3600))
      default: break
      }
    #endif
    server = try reporting("listen on \(options.socket)") { () throws(SystemError) in
      let server = try VarlinkServer(
        info: ServiceInfo(
          vendor: "The slice runtime", product: "sliced", version: version,
          url: ""),
        interfaces: [interface], limits: limits, observe: { Self.log($0, logger) })
      if let passed = try ListeningSocket.fromServiceManager() {
        try server.start(on: passed)
      } else {
        try server.start(on: ListeningSocket.bind(path: options.socket, mode: 0o666))
      }
      return server
    }
    logger.info(
      "ready",
      metadata: [
        "socket": "\(options.socket)", "slices": "\(node.names().count)",
        "storage": "\(node.storage.mode)",
        "controllers": "\(node.cgroup.controllers.sorted().joined(separator: ","))",
      ])
  }

  /// Stops to serve. Slices live on, and the next supervisor adopts them.
  public func stop() {
    let left = server.stop(within: .seconds(5))
    logger.info("stopped", metadata: ["calls_cut": "\(left)"])
  }

  // MARK: - Start

  private static func prepareProcess(
    _ layout: NodeLayout, _ logger: Logger
  ) throws(SliceError) -> OwnedFD {
    guard geteuid() == 0 else {
      throw SliceError(.refused, "sliced needs root", hint: "run it as root, or by systemd")
    }
    // With 1 every change of ids makes a process traceable (proc_sys_fs(5)): a slice could trace a
    // command that enters it while it still has the supervisor's memory.
    guard (try? Files.readText("/proc/sys/fs/suid_dumpable")) != "1" else {
      throw SliceError(
        .unenforceable, "fs.suid_dumpable is 1, with which a slice could read the supervisor",
        hint: "sysctl fs.suid_dumpable=0")
    }
    try SupervisorPrivileges.giveUp()
    return try reporting("start") { () throws(SystemError) in
      try checked("prctl(PR_SET_DUMPABLE)") { kernel_forbid_tracing() }
      var files = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
      files.rlim_cur = files.rlim_max
      try checked("setrlimit(RLIMIT_NOFILE)") {
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
      }
      if try !SharedLimits.raise() {
        logger.warning(
          "all slices share one account of message queues, pending signals and locked memory",
          metadata: ["lacks": "CAP_SYS_RESOURCE"])
      }
      umask(0o022)
      try Files.makeDirectories(layout.runtime, mode: 0o755)
      let lock = try Files.open(layout.runtime + "/lock", O_RDWR | O_CREAT, mode: 0o600)
      let number = lock.rawValue
      try checked("lock", "\(layout.runtime)/lock: another sliced runs") {
        kernel_lock_file(number)
      }
      return lock
    }
  }

  private static func readPolicy(_ path: String) throws(SliceError) -> NodePolicy {
    guard Files.exists(path) else { return NodePolicy() }
    let bytes = try reporting("read the node's policy") { () throws(SystemError) in
      try Files.read(path)
    }
    return try NodePolicyFile.parse(bytes: bytes, fileName: path)
  }

  // MARK: - Log

  private static func metadata(_ event: NodeEvent) -> Logger.Metadata {
    var metadata: Logger.Metadata = [:]
    if let slice = event.slice { metadata["slice"] = "\(slice)" }
    if let user = event.by { metadata["by"] = "\(user)" }
    for (key, value) in event.details { metadata[key] = "\(value)" }
    return metadata
  }

  private static func log(_ event: VarlinkServer.Event, _ logger: Logger) {
    switch event {
    case .connectionsRefused(let count):
      logger.warning("connections-refused", metadata: ["count": "\(count)"])
    case .connectionDropped(let peer, let failure):
      logger.notice(
        "connection-dropped",
        metadata: ["uid": "\(peer.uid)", "pid": "\(peer.pid)", "reason": "\(failure)"])
    case .callFailed(let peer, let method, let error):
      logger.error(
        "call-failed",
        metadata: ["uid": "\(peer.uid)", "method": "\(method)", "reason": "\(error)"])
    case .acceptFailed(let error):
      logger.error("accept-failed", metadata: ["reason": "\(error)"])
    }
  }
}
