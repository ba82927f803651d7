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
  case processNamespace = "process-namespace"
  case ipcNamespace = "ipc-namespace"
  case hostnameNamespace = "hostname-namespace"
  case networkNamespace = "network-namespace"
  case cgroupNamespace = "cgroup-namespace"
  case cgroupLimits = "cgroup-limits"
  case diskQuota = "disk-quota"
  case processLimits = "process-limits"
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
    case .processNamespace: "the PID namespace"
    case .ipcNamespace: "the IPC namespace"
    case .hostnameNamespace: "the UTS namespace"
    case .networkNamespace: "the network namespace"
    case .cgroupNamespace: "the cgroup namespace"
    case .cgroupLimits: "limits one level above the slice's own cgroup"
    case .diskQuota: "project quotas"
    case .processLimits: "resource limits of processes"
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

  /// Where to look when a case that names it fails.
  public var advice: String {
    switch self {
    case .callFilter, .argumentFilter:
      "see 'grep Seccomp /proc/PID/status' of a process of the slice: it must say 2, with 2 filters; a kernel without CONFIG_SECCOMP_FILTER can't run slices"
    case .userNamespace, .hostOwnership, .namespaceLimits, .processNamespace, .ipcNamespace,
      .hostnameNamespace, .networkNamespace, .cgroupNamespace:
      "compare 'ls -l /proc/PID/ns' of a process of the slice with the host's, and run 'slicectl doctor'"
    case .capabilities, .noNewPrivileges, .identity:
      "see 'grep -E \"Cap|NoNewPrivs|Groups\" /proc/PID/status' of a process of the slice"
    case .rootChange, .privateMounts, .mountAttributes, .masks, .readOnlyKernelFiles, .freshDevices:
      "see /proc/PID/mountinfo of a process of the slice; if this kernel has a file that tells of the host and that is not in Docs/launch-order.md, report it"
    case .cgroupLimits:
      "run 'slicectl doctor': a controller may have been taken away from the slices' parent since"
    case .diskQuota: "run 'slicectl doctor': quotas of the storage may have been turned off since"
    case .processLimits: "see /proc/PID/limits of a process of the slice"
    case .closedDescriptors, .environment, .ownTerminal, .untraceableInit:
      "see /proc/PID/fd and the mode of slice-init, which must be 0711"
    case .pathResolution, .authorization, .validation, .messageBounds, .escaping:
      "this is a fault of the runtime itself: report it, and stop giving slices to people you don't trust until it is mended"
    }
  }
}
