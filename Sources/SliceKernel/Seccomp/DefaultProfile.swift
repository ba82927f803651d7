import Glibc
import SliceModel

/// The filters of a slice that runs network services.
///
/// Two programs, because one decides by call and the other by argument, and libseccomp lets a rule
/// for a whole call swallow those for its arguments. The kernel runs both and obeys the stricter.
public struct SeccompProfile: Sendable {
  /// Loaded in this order; both or none.
  public let programs: [SeccompProgram]

  /// What calls are allowed, which fail as an unprivileged user would see it fail (EPERM), and for
  /// all others ENOSYS: a program then takes the older way, as on an older kernel.
  ///
  /// - Parameters:
  ///   - rawSockets: where they are asked for, the first program needs a listener.
  ///   - rules: what of the default's calls is allowed.
  public static func networkService(
    rawSockets: RawSockets = .refused, _ rules: SystemCallRules = SystemCallRules()
  ) throws(SliceError) -> SeccompProfile {
    let calls = try CallLists(rules)
    return SeccompProfile(programs: [
      try SeccompProgram(
        name: "\(calls.name): arguments", rules: argumentRules(rawSockets) + calls.familyRules,
        otherwise: .allow),
      try SeccompProgram(
        name: "\(calls.name): calls",
        rules: calls.allowed.map { SeccompRule($0, .allow) }
          + calls.refused.map { SeccompRule($0, .fail(EPERM)) },
        otherwise: .fail(ENOSYS)),
    ])
  }

  // MARK: - Arguments

  static func argumentRules(_ rawSockets: RawSockets) -> [SeccompRule] {
    let sockets =
      switch rawSockets {
      case .refused: socketRules
      case .noted: socketRules + rawInternetSockets(.fail(EPERM))
      case .asked: socketRules.filter { !isAboutPacketSockets($0) } + rawSocketRules
      }
    return namespaceRules + terminalRules + sockets + modeRules
  }

  /// No namespaces from inside. clone3 passes its flags in memory, where no filter can look, and
  /// is therefore absent: libraries fall back to clone.
  private static let namespaceRules: [SeccompRule] = {
    let flags: [UInt64] = [
      0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
    ]
    let onClone = flags.map { flag in
      SeccompRule("clone", .fail(EPERM), when: .init(argument: 0, mask: flag, value: flag))
    }
    let onUnshare = (flags + [0x80 /* CLONE_NEWTIME; an exit signal in clone */]).map { flag in
      SeccompRule("unshare", .fail(EPERM), when: .init(argument: 0, mask: flag, value: flag))
    }
    return onClone + onUnshare
  }()

  /// Typing into the terminal of whoever entered (CVE-2017-5226), and the kernel's other line
  /// disciplines, which no service needs and which have had their own holes. The kernel reads the lower 32 bits
  /// of the request, so those alone are compared (CVE-2019-10063).
  private static let terminalRules: [SeccompRule] = [
    UInt64(0x5412) /* TIOCSTI */, 0x541C /* TIOCLINUX */, 0x5423, /* TIOCSETD */
  ].map { request in
    SeccompRule(
      "ioctl", .fail(EPERM), when: .init(argument: 1, mask: 0xFFFF_FFFF, value: request))
  }

  /// AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK; every other family, known or not, is refused as a
  /// kernel without it would: EAFNOSUPPORT. `domain` is an int: its lower 32 bits count.
  private static let socketRules: [SeccompRule] = {
    let allowed: Set<UInt64> = [1, 2, 10, 16]
    let small = (UInt64(0)..<64).filter { !allowed.contains($0) }.map { family in
      SeccompRule.Condition(argument: 0, mask: 0xFFFF_FFFF, value: family)
    }
    let large = (6..<32).map { bit in
      SeccompRule.Condition(argument: 0, mask: 1 << UInt64(bit), value: 1 << UInt64(bit))
    }
    return ["socket", "socketpair"].flatMap { call in
      (small + large).map { SeccompRule(call, .fail(EAFNOSUPPORT), when: $0) }
    }
  }()

  /// personality may ask, which is done with all 32 bits set, and set modes, less those that take
  /// protections away: READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT. Any other value with
  /// the highest bit set, which means nothing to the kernel, would slip past them: refused.
  private static let modeRules: [SeccompRule] = {
    let high: UInt64 = 0x8000_0000
    let weakening = [0x40_0000, 0x10_0000, 0x20_0000].map { (flag: UInt64) in
      SeccompRule.Condition(argument: 0, mask: high | flag, value: flag)
    }
    let notAsking = (UInt64(0)..<31).map { bit in
      SeccompRule.Condition(argument: 0, mask: high | 1 << bit, value: high)
    }
    return (weakening + notAsking).map { SeccompRule("personality", .fail(EPERM), when: $0) }
  }()

  // MARK: - Calls

  static let allowedCalls: [String] = """
    accept accept4 access alarm arch_prctl bind brk capget capset chdir chmod chown chroot \
    clock_getres clock_gettime clock_nanosleep clone close close_range connect copy_file_range \
    creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait \
    epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group \
    faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fchown fchownat fcntl \
    fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstatfs fsync ftruncate \
    futex futex_waitv futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 \
    getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid \
    getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname getsockopt \
    gettid gettimeofday getuid getxattr inotify_add_watch inotify_init inotify_init1 \
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl \
    ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self \
    lchown lgetxattr link linkat listen listxattr llistxattr lremovexattr lseek lsetxattr lstat \
    madvise membarrier memfd_create mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap \
    mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink \
    mremap msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open \
    openat openat2 pause personality pidfd_getfd pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc \
    pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2 prlimit64 process_madvise \
    process_mrelease process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev pwritev2 \
    read readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr \
    rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask \
    rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo \
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam \
    sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam \
    sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop sendfile sendmmsg \
    sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid \
    setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid \
    setsockopt setuid setxattr shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 \
    socket socketpair splice stat statfs statx symlink symlinkat sync sync_file_range syncfs \
    sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime timer_settime \
    timerfd_create timerfd_gettime timerfd_settime times tkill truncate umask uname unlink \
    unlinkat unshare utime utimensat utimes vfork vmsplice wait4 waitid write writev
    """.split(separator: " ").map(String.init)

  /// Calls that programs know and that must fail as they do for anybody without privileges, where
  /// ENOSYS would look like a broken kernel.
  static let deniedCalls: [String] = """
    acct add_key adjtimex bpf clock_adjtime clock_settime delete_module fanotify_init \
    finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register \
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind \
    migrate_pages mount mount_setattr move_mount move_pages name_to_handle_at nfsservctl \
    open_by_handle_at open_tree perf_event_open pivot_root quotactl quotactl_fd reboot request_key \
    set_mempolicy setdomainname sethostname setns settimeofday swapoff swapon syslog umount2 \
    userfaultfd vhangup
    """.split(separator: " ").map(String.init)
}
