extension SeccompProfile {
  /// What the strict profile takes from the default: calls of debuggers, of other processes' memory, old
  /// asynchronous input and output, shared memory and queues between programs, and moves between pipes.
  /// A database or a language's debugger may need some; web servers, caches and proxies do not.
  ///
  /// Netlink sockets are not in it either (`CallLists`): programs can then not list their addresses, and
  /// those that look up names ask for both IPv4 and IPv6.
  static let callsThatStrictRefuses: Set<String> = Set(
    """
    get_thread_area io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit \
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv \
    msgsnd personality pidfd_getfd pkey_alloc pkey_free pkey_mprotect process_madvise \
    process_mrelease process_vm_readv process_vm_writev ptrace remap_file_pages semctl semget semop \
    semtimedop set_thread_area shmat shmctl shmdt shmget splice tee unshare vmsplice
    """.split(separator: " ").map(String.init))

  /// What no profile can refuse: slice-init is under the filter too, and so is everything between the
  /// launch and the service's first instruction. CShims/init/main.c says what each is for.
  static let callsOfSliceInit: Set<String> = Set(
    """
    accept4 arch_prctl brk capget capset chdir clock_gettime clone close close_range dup2 dup3 execve \
    execveat exit exit_group fchown fcntl fstat ftruncate getcwd getpid getsid ioctl kill mmap mprotect \
    munmap newfstatat open openat pipe2 ppoll prctl pread64 pwrite64 read recvfrom renameat \
    restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn seccomp sendto set_tid_address setgroups \
    setresgid setresuid setsid signalfd4 umask unlinkat wait4 write writev
    """.split(separator: " ").map(String.init))
}
