import SliceKernel
import SliceModel

/// The plan that starts a slice: a new process becomes slice-init in namespaces of its own.
struct StartPlan {
  let root: RootFileSystem
  let hostname: String
  let network: SharedFD
  let userNamespace: SharedFD
  let cgroup: SharedFD
  let confinement: Confinement
  let sliceInit: SharedFD
  let service: ServiceInvocation
  let descriptors: ServiceDescriptors
  /// Where the confinement asks for raw sockets; else nil.
  var listening: LaunchPlan.Listening?

  var plan: LaunchPlan {
    let table = descriptors.table
    let listener = LaunchPlan.firstFreeDescriptor(behind: table.count)
    return LaunchPlan(
      namespaces: [.mount, .pid, .uts, .ipc],
      cgroup: cgroup,
      steps: [
        .newSession,
        // Before sysfs is mounted, which shows the network namespace of who mounts it.
        .joinNamespace(network, .network),
        // After birth in the slice's cgroup, which so becomes the root that the slice sees; clone3
        // would take the parent's (cgroup_namespaces(7)).
        .newNamespace(.cgroup),
      ] + root.steps + [.setHostname(hostname)]
        + confinement.steps(
          userNamespace: userNamespace, listener: listener),
      descriptors: table,
      executable: sliceInit,
      arguments: service.startArguments(
        report: table.count, control: 3, log: 4, status: 5,
        noting: descriptors.refusals == nil ? nil : 6,
        raw: descriptors.rawState == nil ? nil : 6, listener: listener),
      environment: service.environment,
      reportIsInherited: true,
      listening: listening)
  }
}

/// The descriptors that slice-init gets.
struct ServiceDescriptors {
  let null: SharedFD
  let control: SharedFD
  let log: SharedFD
  let status: SharedFD
  /// Where refused calls are noted, if they are: the filter must have a listener then.
  var refusals: SharedFD?
  /// What brokers share, of a slice with raw sockets. Never both: there is one listener.
  var rawState: SharedFD?

  /// The child's 0, 1, 2 and so on.
  var table: [SharedFD] {
    [null, null, null, control, log, status] + [refusals, rawState].compactMap { $0 }
  }
}

/// What slice-init is told on its command line.
public struct ServiceInvocation: Sendable {
  /// Nil: no service, slice-init only keeps the slice alive.
  var command: [String]?
  var environment: [String]
  var user: String?
  var workdir: String?
  var restart: RestartPolicy
  /// Bytes of one log file, and how many are kept.
  var logSize = 10 << 20
  var logFiles = 5
  var stopTimeoutMilliseconds = 10_000

  /// The numbers are those of descriptors.
  func startArguments(
    report: Int, control: Int, log: Int, status: Int, noting: Int? = nil, raw: Int? = nil,
    listener: Int
  ) -> [String] {
    var arguments = [
      "slice-init", "start", "--report", "\(report)", "--control", "\(control)", "--log", "\(log)",
      "--status", "\(status)", "--log-size", "\(logSize)", "--log-files", "\(logFiles)",
      "--restart", restart.rawValue, "--stop-timeout", "\(stopTimeoutMilliseconds)",
    ]
    if let noting { arguments += ["--refusals", "\(noting)", "--listener", "\(listener)"] }
    if let raw { arguments += ["--raw-state", "\(raw)", "--listener", "\(listener)"] }
    arguments += identityArguments
    if let command { arguments += ["--"] + command }
    return arguments
  }

  /// For a command beside the service.
  func runArguments(report: Int, terminal: Bool) -> [String] {
    ["slice-init", "run", "--report", "\(report)"] + identityArguments
      + (terminal ? ["--terminal"] : []) + ["--"] + (command ?? ["/bin/sh"])
  }

  private var identityArguments: [String] {
    (user.map { ["--user", $0] } ?? []) + (workdir.map { ["--workdir", $0] } ?? [])
  }
}
