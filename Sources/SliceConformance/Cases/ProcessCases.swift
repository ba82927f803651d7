/// Other processes: PID 1, which is the runtime's, those that enter, and those of others.
enum ProcessCases {
  static let all: [ConformanceCase] = [
    .probe(
      "process.first-memory", "slice-init's memory can't be opened",
      "proc_pid_mem(5), CVE-2016-9962",
      needs: [.untraceableInit]),
    .probe(
      "process.first-environment", "slice-init's environment can't be read", "proc_pid_environ(5)",
      needs: [.untraceableInit]),
    .probe(
      "process.first-maps", "slice-init's map of memory can't be read", "proc_pid_maps(5)",
      needs: [.untraceableInit]),
    .probe(
      "process.first-program", "slice-init's program can't be opened", "CVE-2019-5736",
      needs: [.untraceableInit]),
    .probe(
      "process.first-descriptors", "slice-init's descriptors can't be listed", "proc_pid_fd(5)",
      needs: [.untraceableInit, .userNamespace]),
    .probe(
      "process.first-root", "slice-init's root can't be followed", "proc_pid_root(5)",
      needs: [.untraceableInit]),
    .probe(
      "process.first-trace", "slice-init can't be traced", "ptrace(2), CVE-2016-9962",
      needs: [.untraceableInit]),
    .probe(
      "process.first-descriptor", "no descriptor is taken from slice-init", "pidfd_getfd(2)",
      needs: [.untraceableInit]),
    .probe(
      "process.first-read", "slice-init's memory can't be copied", "process_vm_readv(2)",
      needs: [.untraceableInit]),
    .probe(
      "process.first-compare", "nothing is learnt of slice-init by comparing", "kcmp(2)",
      depth: [.callFilter, .untraceableInit]),
    .probe(
      "process.host-visible", "processes of the host are not seen", "pid_namespaces(7)",
      needs: [.processNamespace], probe: "process.visible", .hostTag, control: .host(nil)),
    .probe(
      "process.neighbour-visible", "processes of another slice are not seen", "pid_namespaces(7)",
      needs: [.processNamespace], probe: "process.visible", .neighbourTag, control: .host(nil)),
    .probe(
      "process.signal", "processes of the host are not signalled", "kill(2)",
      needs: [.processNamespace], .hostPID, control: .host(nil)),
    .script(
      "process.entering",
      "no process of the slice opens the program or memory of a command that is being started in it",
      "CVE-2019-5736, CVE-2016-9962", needs: [.untraceableInit], entering),
  ]

  /// A process inside looks at whatever appears while commands are started from outside; with a bait it finds that.
  private static func entering(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    let baited = ProbeAnswer.all(
      in: try bed.probe(in: slice, ["run", "process.entering=2,bait"]).output
    ).values.first
    guard let baited, baited.outcome == .broken else {
      return .error("the control found no bait: \(baited?.text ?? "no answer")")
    }
    let watcher = try RunningProgram([
      bed.tools.slicectl, "--socket", bed.tools.socket, "exec", slice, "--", "/probe", "run",
      "process.entering=4",
    ])
    defer { watcher.end() }
    let end = Clock.now + 3.5
    var entered = 0
    while Clock.now < end {
      _ = try bed.probe(in: slice, ["list"])
      entered += 1
    }
    try watcher.collect(until: Clock.now + 30, bed.interruption)
    guard let answer = ProbeAnswer.all(in: watcher.text(0)).values.first else {
      return .error("no answer of the probe: \(watcher.text(1))")
    }
    return switch answer.outcome {
    case .held where entered > 2: .pass
    case .held: .error("only \(entered) commands were started meanwhile")
    case .broken: .fail(answer.text)
    case .inapplicable, .error: .error(answer.text)
    }
  }
}
