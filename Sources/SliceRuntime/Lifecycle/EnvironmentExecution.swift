import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Commands that enter a slice.
extension SliceEnvironment {
  func execute(
    _ request: ExecutionRequest, in record: SliceRecord, process: PidFD
  ) throws(SliceError) -> Execution {
    let name = try SliceName(record.name)
    let (namespaces, group) = try reporting("join \(name)") { () throws(SystemError) in
      (try NamespaceSet(of: process), try cgroup.slice(name).processes.open())
    }
    let range = idRange(record.number)
    let terminal = try request.terminal.map { (size) throws(SliceError) in
      try reporting("open a terminal in \(name)") { () throws(SystemError) in
        try SliceTerminal(in: process, owner: range.first, size: size)
      }
    }
    let command = ServiceInvocation(
      command: request.command ?? [LoginShell.find(in: process, user: request.user), "-l"],
      environment: images.defaults(of: record.image).environment + record.spec.environment
        + request.environment,
      user: request.user, workdir: request.workdir, restart: .no)
    let streams = terminal.map { [$0.slave, $0.slave, $0.slave] } ?? request.streams
    let listening = try rawSocketsOfCommand(record)
    let plan = EnterPlan(
      slice: namespaces, cgroup: group,
      confinement: try confinements.ofEntry(record.spec.settings, asking: listening != nil),
      sliceInit: sliceInit, command: command, streams: streams, terminal: terminal != nil,
      listening: listening
    ).plan
    let process = try enter(name, by: plan) { LaunchDiagnosis($0, command: command).error }
    return Execution(process: process, terminal: terminal?.master)
  }

  /// Starts a process by a plan for the cgroup of the slice's own; in the one beside it, where the slice has
  /// divided that: then no process may be in it (EBUSY; Documentation/admin-guide/cgroup-v2.rst, "No
  /// Internal Process Constraint").
  func enter(
    _ name: SliceName, by plan: LaunchPlan, explaining error: (LaunchFailure) -> SliceError
  ) throws(SliceError) -> PidFD {
    var plan = plan
    do throws(LaunchFailure) {
      return try plan.run()
    } catch let failure {
      guard failure.place == .parent, failure.code == EBUSY else { throw error(failure) }
    }
    plan.cgroup = try reporting("join \(name)") { () throws(SystemError) in
      try cgroup.slice(name).visitors().open()
    }
    do throws(LaunchFailure) {
      return try plan.run()
    } catch let failure {
      throw error(failure)
    }
  }
}
