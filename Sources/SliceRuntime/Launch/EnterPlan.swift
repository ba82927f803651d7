import SliceKernel

/// The plan that runs one more command in a slice that lives.
struct EnterPlan {
  /// Of the slice's slice-init; the namespaces are joined through it.
  let slice: NamespaceSet
  let cgroup: SharedFD
  let confinement: Confinement
  let sliceInit: SharedFD
  let command: ServiceInvocation
  /// The command's 0, 1 and 2.
  let streams: [SharedFD]
  let terminal: Bool
  /// Where the confinement asks for raw sockets; else nil.
  var listening: LaunchPlan.Listening?

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
      executable: sliceInit,
      arguments: command.runArguments(report: streams.count, terminal: terminal),
      environment: command.environment,
      reportIsInherited: true,
      listening: listening)
  }
}
