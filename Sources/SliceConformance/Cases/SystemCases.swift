/// The kernel as a whole.
enum SystemCases {
  static let all: [ConformanceCase] = [
    .probe("system.clock", "the clock is not set", "adjtimex(2)", depth: both),
    .probe("system.load-module", "no module is loaded", "init_module(2)", depth: both),
    .probe("system.remove-module", "no module is removed", "delete_module(2)", depth: both),
    .probe("system.kexec", "no kernel is loaded", "kexec_load(2)", depth: both),
    .probe("system.reboot", "the host is not restarted", "reboot(2)", depth: both),
    .probe("system.swap", "swap is not changed", "swapoff(2)", depth: both),
    .probe("system.accounting", "accounting is not changed", "acct(2)", depth: both),
    .probe(
      "system.domain", "the host's domain name is not set", "setdomainname(2)",
      depth: both + [.hostOwnership]),
    .probe(
      "system.userfaultfd", "no userfaultfd is had", "userfaultfd(2)",
      depth: [.callFilter, .capabilities]),
    .probe("system.bpf", "no BPF map or program is made", "bpf(2)", depth: both),
    .probe("system.perf", "no performance counter is opened", "perf_event_open(2)", depth: both),
    .probe("system.io-uring", "no io_uring is made", "io_uring_setup(2)", needs: [.callFilter]),
    .probe(
      "system.realtime", "no process gets a real-time priority", "sched(7)",
      depth: [.capabilities, .userNamespace, .processLimits]),
    .probe(
      "system.nice", "no process gets a better priority", "setpriority(2)",
      depth: [.capabilities, .userNamespace, .processLimits]),
  ]

  private static let both: [Defence] = [.callFilter, .capabilities, .userNamespace]
}
