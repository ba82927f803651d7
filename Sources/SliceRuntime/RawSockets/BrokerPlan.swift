import SliceKernel
import SliceModel

/// The plan that starts a slice's broker (CShims/broker/main.c): in the slice's network and PID
/// namespace, in a cgroup of its own under the slice's limits, as the host's root with two capabilities,
/// in an empty root directory.
struct BrokerPlan {
  /// An empty directory, which an empty file system covers in the broker's own mount namespace.
  let stage: String
  let program: SharedFD
  let null: SharedFD
  let slice: NamespaceSet
  let cgroup: SharedFD
  /// Of the slice's filter.
  let listener: SharedFD
  /// Listening.
  let control: SharedFD
  /// Listening, for the slice's processes.
  let requests: SharedFD
  /// A proc file system of the slice's PID namespace.
  let processes: SharedFD
  /// Of the slice's `RawJudge`.
  let state: SharedFD
  /// CAP_NET_RAW; CAP_IPC_LOCK, for memory of AF_XDP sockets, which the slice's cgroup bounds; and
  /// CAP_SETPCAP with which it gives up the rest.
  let capabilities: CapabilitySet

  /// The broker's own number of `listener`; those of other filters have higher ones.
  static let listenerNumber: Int32 = 3

  var plan: LaunchPlan {
    let descriptors = [null, null, null, listener, control, processes, state, requests]
    return LaunchPlan(
      namespaces: [.mount],
      cgroup: cgroup,
      pidNamespace: slice.pid,
      steps: [
        .newSession,
        .makeMountsPrivate,
        .mountOnHost(
          FileSystem(
            "tmpfs", [.init("mode", "0555"), .init("size", "4k"), .init("nr_inodes", "1")],
            [.readOnly, .noSetuid, .noDevices, .noExecute]), at: stage),
        .setRoot(stage),
        .pivotRoot,
        .joinNamespace(slice.network, .network),
        .restrictCapabilities(capabilities),
        .forbidNewPrivileges,
      ],
      descriptors: descriptors,
      executable: program,
      arguments: [
        "slice-broker", "--report", "\(descriptors.count)", "--listener",
        "\(Self.listenerNumber)", "--control", "4",
        "--processes", "5", "--state", "6", "--requests", "7",
      ],
      environment: [],
      reportIsInherited: true)
  }
}
