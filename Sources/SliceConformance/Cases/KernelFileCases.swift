/// Files of /proc and /sys: what tells of the host, and what reaches into it.
enum KernelFileCases {
  static let all: [ConformanceCase] =
    masked + mountedOver + unreadable + readOnly + unwritable + others

  private static func name(_ path: String) -> String {
    String(path.dropFirst().map { $0 == "/" || $0 == "_" || $0 == "." ? "-" : $0 })
  }

  private static let masked = [
    "/proc/kcore", "/proc/keys", "/proc/key-users", "/proc/kallsyms", "/proc/kmsg",
    "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats", "/proc/kpagecount",
    "/proc/kpageflags", "/proc/kpagecgroup", "/proc/vmallocinfo", "/proc/slabinfo",
    "/proc/pagetypeinfo", "/proc/iomem", "/proc/ioports", "/proc/interrupts",
    "/proc/sysrq-trigger", "/proc/config.gz", "/proc/modules", "/proc/acpi", "/proc/asound",
    "/proc/pressure", "/proc/scsi", "/sys/firmware", "/sys/kernel/slab", "/sys/module",
    "/sys/devices/virtual/powercap",
  ].map { path in
    ConformanceCase.probe(
      "masked.\(name(path))", "\(path) of the host is not there to be opened",
      "proc(5), CVE-2025-31133", needs: [.masks], probe: "files.masked", .text(path))
  }

  /// Places of sysfs on which a host mounts more: a slice's own sysfs doesn't have that.
  private static let mountedOver = [
    "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/fs/bpf",
    "/sys/fs/fuse",
  ].map { path in
    ConformanceCase.probe(
      "masked.\(name(path))", "\(path) of the host is not there to be opened", "sysfs(5)",
      depth: [.masks, .rootChange], probe: "files.masked", .text(path))
  }

  /// Read, whatever hides them.
  private static let unreadable = [
    "/proc/kcore", "/proc/kmsg", "/proc/kallsyms", "/proc/keys", "/proc/timer_list",
    "/proc/sched_debug",
  ].map { path in
    ConformanceCase.probe(
      "unreadable.\(name(path))", "\(path) gives nothing of the host", "proc(5)",
      depth: [.masks, .userNamespace], probe: "files.readable", .text(path))
  }

  private static let readOnly = ["/proc/sys", "/proc/irq", "/proc/fs", "/proc/bus", "/sys"].map {
    path in
    ConformanceCase.probe(
      "read-only.\(name(path))", "\(path) is mounted read-only", "proc(5), CVE-2025-52881",
      needs: [.readOnlyKernelFiles], probe: "files.read-only", .text(path))
  }

  private static let unwritable: [ConformanceCase] = [
    ("/proc/sys/kernel/core_pattern", "core(5)"),
    ("/proc/sys/kernel/modprobe", "proc_sys_kernel(5)"),
    ("/proc/sys/kernel/hotplug", "proc_sys_kernel(5)"),
    ("/proc/sys/vm/overcommit_memory", "proc_sys_vm(5)"),
    ("/proc/sys/user/max_user_namespaces", "namespaces(7)"),
    ("/proc/sys/fs/binfmt_misc/register", "binfmt_misc of the kernel's admin guide"),
    ("/proc/sysrq-trigger", "sysrq of the kernel's admin guide"),
    ("/sys/kernel/uevent_helper", "CVE-2022-0492, hotplug"),
    ("/sys/power/state", "sysfs(5)"),
    ("/proc/1/oom_score_adj", "proc_pid_oom_score_adj(5)"),
  ].map { path, reference in
    .probe(
      "unwritable.\(name(path))", "\(path) can't be opened for writing", reference,
      depth: [.readOnlyKernelFiles, .userNamespace, .masks, .untraceableInit],
      probe: "files.writable", .text(path))
  }

  private static let others: [ConformanceCase] = [
    .probe(
      "files.genuine",
      "/proc is the kernel's own procfs, so what a launch writes there went nowhere else",
      "CVE-2019-19921, CVE-2025-52881", needs: [.rootChange], depth: [.pathResolution],
      .text("/proc"), control: .bare(.text("/tmp"))),
    .probe(
      "files.kernel-log", "the kernel's log can't be read", "syslog(2)",
      depth: [.callFilter, .capabilities]),
    .probe(
      "files.release-agent", "no release_agent can be written", "CVE-2022-0492",
      depth: [.rootChange, .userNamespace]),
  ]
}
