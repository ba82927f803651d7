import SliceKernel

/// The plan that runs one more command in a slice that lives.
struct EnterPlan {
  /// Of the slice's slice-init; the namespaces are joined through it.
  let slice: NamespaceSet
  let cgroup: SharedFD
  let confinement: Confinement
  /// Executed: slice-init, which becomes the command, or another program of the runtime's.
  let program: SharedFD
  let arguments: [String]
  let environment: [String]
  /// The command's 0, 1 and 2.
  let streams: [SharedFD]
  /// See `LaunchPlan`.
  let reportIsInherited: Bool
  /// Where the confinement asks for raw sockets; else nil.
  let listening: LaunchPlan.Listening?

  /// That of a command, which slice-init becomes.
  init(
    slice: NamespaceSet, cgroup: SharedFD, confinement: Confinement, sliceInit: SharedFD,
    command: ServiceInvocation, streams: [SharedFD], terminal: Bool,
    listening: LaunchPlan.Listening? = nil
  ) {
    self.slice = slice
    self.cgroup = cgroup
    self.confinement = confinement
    program = sliceInit
    arguments = command.runArguments(report: streams.count, terminal: terminal)
    environment = command.environment
    self.streams = streams
    reportIsInherited = true
    self.listening = listening
  }

  /// That of a program of the runtime's.
  init(
    slice: NamespaceSet, cgroup: SharedFD, confinement: Confinement, program: SharedFD,
    arguments: [String], streams: [SharedFD]
  ) {
    self.slice = slice
    self.cgroup = cgroup
    self.confinement = confinement
    self.program = program
    self.arguments = arguments
    environment = []
    self.streams = streams
    reportIsInherited = false
    listening = nil
  }

  var plan: LaunchPlan {
    LaunchPlan(
      cgroup: cgroup,
      pidNamespace: slice.pid,
      steps: [
        .joinNamespace(slice.uts, .uts), .joinNamespace(slice.ipc, .ipc),
        .joinNamespace(slice.network, .network), .joinNamespace(slice.cgroup, .cgroup),
        // Last of these: it changes root and working directory to the slice's.
        .joinNamespace(slice.mount, .mount),
      ] + confinement.steps(userNamespace: slice.user),
      descriptors: streams,
      executable: program,
      arguments: arguments,
      environment: environment,
      reportIsInherited: reportIsInherited,
      listening: listening)
  }
}
