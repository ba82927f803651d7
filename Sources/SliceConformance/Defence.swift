/// One thing that holds a slice in, or keeps the supervisor safe: what a case names as the reason why its
/// attack must fail.
public enum Defence: String, Sendable, CaseIterable, Codable {
  // The kernel's, around a slice.
  case callFilter = "call-filter"
  case argumentFilter = "argument-filter"
  case userNamespace = "user-namespace"
  case hostOwnership = "host-ownership"
  case namespaceLimits = "namespace-limits"
  case capabilities
  case noNewPrivileges = "no-new-privileges"
  case rootChange = "root-change"
  case privateMounts = "private-mounts"
  case mountAttributes = "mount-attributes"
  case masks
  case readOnlyKernelFiles = "read-only-kernel-files"
  case freshDevices = "fresh-devices"
  case deviceProgram = "device-program"
  case processNamespace = "process-namespace"
  case ipcNamespace = "ipc-namespace"
  case hostnameNamespace = "hostname-namespace"
  case networkNamespace = "network-namespace"
  case cgroupNamespace = "cgroup-namespace"
  case cgroupLimits = "cgroup-limits"
  case weights
  case diskQuota = "disk-quota"
  case processLimits = "process-limits"
  case ownLimits = "own-limits"
  case classifier
  case rawProgram = "raw-program"
  case rawBroker = "raw-broker"
  case overlayPrograms = "overlay-programs"
  case flowAudit = "flow-audit"
  case shaping
  // Of a launch.
  case closedDescriptors = "closed-descriptors"
  case untraceableInit = "untraceable-init"
  case identity
  case ownTerminal = "own-terminal"
  case environment
  case pathResolution = "path-resolution"
  // Of the supervisor and its client.
  case authorization
  case validation
  case messageBounds = "message-bounds"
  case escaping

  /// What it is, after "held by".
  public var meaning: String {
    switch self {
    case .callFilter: "the seccomp filter's list of calls"
    case .argumentFilter: "the seccomp filter's rules for arguments"
    case .userNamespace: "the slice's own user namespace"
    case .hostOwnership:
      "namespaces that belong to the host, because the user namespace is entered last"
    case .namespaceLimits: "user.max_*_namespaces of 0"
    case .capabilities: "the reduced capability sets"
    case .noNewPrivileges: "no_new_privs"
    case .rootChange: "the mount namespace and its new root"
    case .privateMounts: "mounts without propagation"
    case .mountAttributes: "nosuid and nodev on mounts"
    case .masks: "masks over files of /proc and /sys"
    case .readOnlyKernelFiles: "read-only /proc/sys and /sys"
    case .freshDevices: "a /dev of six devices that belongs to the host"
    case .deviceProgram: "the program for devices in the slices' cgroup"
    case .processNamespace: "the PID namespace"
    case .ipcNamespace: "the IPC namespace"
    case .hostnameNamespace: "the UTS namespace"
    case .networkNamespace: "the network namespace"
    case .cgroupNamespace: "the cgroup namespace"
    case .cgroupLimits: "limits one level above the slice's own cgroup"
    case .weights: "weights of the slices' cgroups"
    case .diskQuota: "project quotas"
    case .processLimits: "resource limits of processes"
    case .ownLimits: "limits that count for each slice by itself"
    case .shaping: "a class of its own for each slice on the uplink"
    case .classifier: "the classifier at the host's end of the link"
    case .rawProgram: "the program that judges what raw sockets send"
    case .rawBroker: "the broker that opens raw sockets, and its filters on them"
    case .overlayPrograms: "an overlay's own network namespace, and the programs on its links"
    case .flowAudit: "the count of what leaves by the uplinks, by slice"
    case .closedDescriptors: "closing every descriptor but the streams"
    case .untraceableInit: "an unreadable, undumpable slice-init"
    case .identity: "ids and groups set from the slice's own files"
    case .ownTerminal: "terminals of the slice's own devpts"
    case .environment: "an environment made anew"
    case .pathResolution: "paths in an image opened without following links"
    case .authorization: "the supervisor's check of who calls"
    case .validation: "the supervisor's check of what is asked"
    case .messageBounds: "the supervisor's bounds on messages and connections"
    case .escaping: "escaping of what comes from slices"
    }
  }
}
