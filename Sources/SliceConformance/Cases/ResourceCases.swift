import SliceModel

/// Limits, and slices that take all there is.
enum ResourceCases {
  static let all: [ConformanceCase] = [
    .probe(
      "resource.cgroup-path", "what is seen of the cgroups begins with the slice's own",
      "cgroup_namespaces(7), CVE-2023-25809", needs: [.cgroupNamespace], control: .host(.slicePID)),
    .probe(
      "resource.own-limits", "no slice changes its own limits", "cgroups(7), nsdelegate",
      needs: [.userNamespace], depth: [.cgroupNamespace, .cgroupLimits],
      control: .host(.sliceCgroup)),
    .probe(
      "resource.leave", "no process leaves the slice's cgroup", "cgroups(7)",
      depth: [.cgroupNamespace, .userNamespace]),
    .probe(
      "resource.neighbours", "another slice's cgroup is not seen", "cgroup_namespaces(7)",
      needs: [.cgroupNamespace], .neighbourName, control: .host(.sliceCgroup)),
    .script(
      "resource.processes", "a fork bomb ends at pids.max", "cgroup-v2 of the kernel, pids",
      needs: [.cgroupLimits]
    ) { try bomb($0, settings: ["pids.max=50"], "resource.processes=50", control: .bare) },
    .script(
      "resource.memory", "a slice gets no more memory than memory.max",
      "cgroup-v2 of the kernel, memory",
      needs: [.cgroupLimits]
    ) { try memoryBomb($0, "anonymous") },
    .script(
      "resource.memory-files", "files in memory count as well", "tmpfs(5)", needs: [.cgroupLimits]
    ) { try memoryBomb($0, "tmpfs") },
    .script(
      "resource.memory-pipes", "what waits in pipes counts as well", "pipe(7)",
      needs: [.cgroupLimits]
    ) { try memoryBomb($0, "pipes") },
    .script(
      "resource.memory-tables", "page tables count as well", "cgroup-v2 of the kernel, memory",
      needs: [.cgroupLimits]
    ) { try memoryBomb($0, "tables") },
    .script(
      "resource.memory-sockets", "what waits in sockets counts as well", "unix(7)",
      needs: [.cgroupLimits]
    ) { try memoryBomb($0, "sockets") },
    .script(
      "resource.disk", "a slice writes no more than disk.max", "quotactl(2)", needs: [.diskQuota]
    ) { try bomb($0, settings: ["disk.max=8M"], "resource.disk=8", control: .unlimited) },
    .script(
      "resource.files", "a slice makes no more files than disk.files.max", "quotactl(2)",
      needs: [.diskQuota]
    ) { try bomb($0, settings: ["disk.files.max=100"], "resource.files=100", control: .unlimited) },
    .script(
      "resource.accounts",
      "a slice that takes all message queues, pending signals and locked memory leaves others theirs",
      "user_namespaces(7), getrlimit(2)", needs: [.ownLimits], accounts),
    .script(
      "resource.resisting", "a slice that ignores signals is destroyed all the same",
      "cgroup-v2 of the kernel, cgroup.kill", depth: [.cgroupLimits], resisting),
  ]

  private enum Control { case bare, unlimited }

  private static func bomb(
    _ bed: TestBed, settings: [String], _ attempt: String, control: Control
  ) throws -> Verdict {
    let slice = try bed.slice(settings: settings)
    let result = try bed.probe(in: slice, ["run", attempt])
    try bed.destroy(slice)
    guard let answer = ProbeAnswer.all(in: result.output).values.first else {
      return .error("no answer: \(result.complaint)")
    }
    guard answer.outcome == .held else {
      return answer.outcome == .broken ? .fail(answer.text) : .error(answer.text)
    }
    let output: String
    switch control {
    case .bare: output = try bed.probe(["bare", attempt]).output
    case .unlimited:
      output = try bed.probe(in: bed.idle.get(), ["run", attempt]).output
    }
    let shown = ProbeAnswer.all(in: output).values.first
    return shown?.outcome == .broken
      ? .pass : .skip("without a limit it ends as well: \(shown?.text ?? "no answer")")
  }

  /// Must end at the limit, be told as want of memory, and leave the neighbour alone.
  private static func memoryBomb(_ bed: TestBed, _ kind: String) throws -> Verdict {
    let neighbour = try bed.neighbour.get()
    let slice = try bed.slice(settings: ["memory.max=32M", "memory.swap.max=0"])
    let attempt = "resource.memory=\(kind):32"
    let result = try bed.probe(in: slice, ["run", attempt])
    let answer = ProbeAnswer.all(in: result.output).values.first
    let row = try bed.json(["shares"]).array?.first { $0["name"].string == slice }
    try bed.destroy(slice)
    if let answer, answer.outcome == .broken { return .fail(answer.text) }
    let kills: Int64 =
      if case .integer(let count)? = row?["memory"]["oomKills"] { count } else { 0 }
    // Killed, with or without the process that would have told; or refused, as a pipe is.
    guard kills > 0 || answer?.outcome == .held else {
      return .error("no answer: \(answer?.text ?? result.complaint)")
    }
    guard kills > 0 || ["pipes", "sockets"].contains(kind) else {
      return .fail("the kill is not counted as want of memory")
    }
    guard
      try bed.json(["list"]).array?.contains(where: {
        $0["name"].string == neighbour && $0["state"].string == "running"
      }) == true
    else { return .fail("the slice beside it does not run any more") }
    let control = ProbeAnswer.all(in: try bed.probe(["bare", attempt]).output).values.first
    return control?.outcome == .broken
      ? .pass : .skip("without a limit it ends as well: \(control?.text ?? "no answer")")
  }

  /// One slice takes what it gets, and keeps it; what another one gets then, and in the control the first itself.
  private static func accounts(_ bed: TestBed) throws -> Verdict {
    guard File.mayRaiseLimits() else {
      throw TestBed.Unenforceable(
        reason: "root of this host has no CAP_SYS_RESOURCE, so slices share the supervisor's limits"
      )
    }
    let greedy = try bed.slice(service: ["exhaust"])
    defer { bed.release(greedy) }
    try bed.waitForService(greedy)
    func look(_ slice: String) throws -> ProbeAnswer? {
      ProbeAnswer.all(in: try bed.probe(in: slice, ["run", "resource.accounts"]).output)
        .values.first
    }
    guard let answer = try look(bed.idle.get()) else { return .error("no answer") }
    guard answer.outcome == .held else {
      return answer.outcome == .broken ? .fail(answer.text) : .error(answer.text)
    }
    let control = try look(greedy)
    return control?.outcome == .broken
      ? .pass : .error("the control: in that slice there is still some: \(control?.text ?? "")")
  }

  /// slice-probe's service doesn't end by SIGTERM as PID 2 of a slice that is paused.
  private static func resisting(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.slice()
    let pid = try bed.initProcess(of: slice)
    let paused = try bed.slicectl(["pause", slice])
    if paused.status == 5 { return .skip(paused.complaint) }
    guard paused.status == 0 else { return .error(paused.complaint) }
    guard (try? File.bytes("/proc/\(pid)/stat")) != nil else {
      return .error("process \(pid) is not seen")
    }
    do {
      try bed.destroy(slice)
    } catch {
      return .fail("\(error)")
    }
    guard (try? File.bytes("/proc/\(pid)/stat")) == nil else {
      return .fail("process \(pid) is still there")
    }
    return .pass
  }
}
