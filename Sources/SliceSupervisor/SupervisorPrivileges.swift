import SliceKernel
import SliceModel

/// What `sliced` keeps of root's privileges.
public enum SupervisorPrivileges {
  /// Each with what fails without it, as was tried one by one. What is missing here no flaw of `sliced`
  /// can use: modules, raw input and output, the clock, reboot, accounting, file handles, the kernel's
  /// log, audit, MAC. To signal a slice takes none: its user namespace belongs to root.
  static let capabilities: [(name: String, use: String)] = [
    ("CAP_CHOWN", "writable layers and logs are given to the slice's ids"),
    ("CAP_DAC_OVERRIDE", "cgroups, and files of slices whatever their modes"),
    ("CAP_FOWNER", "modes and times of slices' files: overlayfs has the rights of who mounted it"),
    ("CAP_FSETID", "set-group-id bits of slices' files, likewise"),
    ("CAP_IPC_LOCK", "the broker of raw sockets inherits it, for memory of AF_XDP sockets"),
    ("CAP_MKNOD", "the six devices of a slice's /dev"),
    ("CAP_NET_ADMIN", "links, routes, queues, address translation"),
    ("CAP_NET_BIND_SERVICE", "published ports below 1024 are held"),
    ("CAP_NET_RAW", "the broker of raw sockets inherits it"),
    ("CAP_SETFCAP", "the sandbox of slice-unpack maps the host's id 0"),
    ("CAP_SETGID", "id maps of groups"),
    ("CAP_SETPCAP", "these sets are cut"),
    ("CAP_SETUID", "id maps of users"),
    ("CAP_SYS_ADMIN", "mounts, namespaces, BPF, quotas"),
    ("CAP_SYS_CHROOT", "joining a slice's mount namespace"),
    ("CAP_SYS_PTRACE", "a slice's namespaces and root are reached through /proc/PID"),
    (
      "CAP_SYS_RESOURCE",
      "ext4 grows the storage image for nobody else; its own limits (SharedLimits)"
    ),
  ]

  /// To be called first of all: threads that run already would keep what they have.
  public static func giveUp() throws(SliceError) {
    try OwnPrivileges.giveUp(
      keeping: CapabilitySet(names: capabilities.map(\.name)),
      filters: SupervisorProfile.programs())
  }
}
