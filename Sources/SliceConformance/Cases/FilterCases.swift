/// The system call filter, asked alone (CShims/probe/filter.c).
enum FilterCases {
  static let all: [ConformanceCase] = denied + unlisted + entries + arguments

  /// Calls that are denied whatever their arguments. Those for which the kernel looks at the permission before
  /// anything else are tried in other concerns: there the answer doesn't tell who gave it.
  private static let denied = [
    "add_key", "adjtimex", "bpf", "clock_adjtime", "clock_settime", "fanotify_init", "fsconfig",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp", "keyctl",
    "mbind", "migrate_pages", "mount", "mount_setattr", "move_pages", "name_to_handle_at",
    "open_tree", "perf_event_open", "quotactl", "quotactl_fd", "request_key", "set_mempolicy",
    "setns", "settimeofday", "swapon", "umount2", "userfaultfd",
  ].map { call in
    ConformanceCase.probe(
      "filter.\(call.replacingUnderscores)",
      "the filter refuses \(call) before the kernel looks at it",
      "\(call)(2), seccomp(2)", needs: [.callFilter], probe: "filter.\(call)")
  }

  private static let unlisted: [ConformanceCase] = [
    .probe(
      "filter.clone3", "clone3, whose flags no filter sees, is ENOSYS, and fork works",
      "clone(2), seccomp(2)", needs: [.callFilter]),
    .probe(
      "filter.newer-calls", "a call newer than the list is ENOSYS, as on an older kernel",
      "seccomp(2)", needs: [.callFilter]),
    .probe(
      "filter.loaded", "a seccomp filter is in force", "proc_pid_status(5)",
      depth: [.callFilter, .argumentFilter], probe: "capability.filter-loaded"),
  ]

  private static let entries: [ConformanceCase] = [
    .probe(
      "filter.x32", "calls by their x32 numbers are refused", "seccomp(2), CAVEATS",
      depth: [.callFilter, .argumentFilter]),
    .probe(
      "filter.i386", "the i386 entry is closed", "seccomp(2), CAVEATS",
      depth: [.callFilter, .argumentFilter]),
  ]

  private static let arguments: [ConformanceCase] = [
    .probe(
      "filter.clone-flags", "clone with a flag for a new namespace is refused by the filter",
      "clone(2)", needs: [.argumentFilter]),
    .probe(
      "filter.clone-flags-high", "the same with bits set that the kernel does not read",
      "CVE-2019-10063", needs: [.argumentFilter]),
    .probe(
      "filter.unshare-flags", "unshare of any namespace is refused by the filter", "unshare(2)",
      needs: [.argumentFilter]),
    .probe(
      "filter.socket-families", "socket makes no family but Unix, IPv4, IPv6 and netlink",
      "address_families(7)", needs: [.argumentFilter]),
    .probe(
      "filter.tiocsti", "TIOCSTI is refused on any descriptor", "CVE-2017-5226",
      needs: [.argumentFilter]),
    .probe(
      "filter.tiocsti-high", "TIOCSTI is refused with upper bits set", "CVE-2019-10063",
      needs: [.argumentFilter]),
    .probe(
      "filter.tioclinux", "TIOCLINUX is refused on any descriptor",
      "ioctl_console(2), CVE-2023-1523",
      needs: [.argumentFilter]),
    .probe(
      "filter.tiocsetd", "the line discipline of a terminal can't be changed",
      "ioctl_tty(2), CVE-2017-2636", needs: [.argumentFilter]),
    .probe(
      "filter.personality", "modes that take protections away can't be set", "personality(2)",
      needs: [.argumentFilter]),
  ]
}

extension String {
  fileprivate var replacingUnderscores: String { String(map { $0 == "_" ? "-" : $0 }) }
}
