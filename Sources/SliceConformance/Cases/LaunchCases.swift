/// What a process of a slice is born with.
enum LaunchCases {
  static let all: [ConformanceCase] = [
    .probe(
      "descriptor.only-streams", "only the descriptors 0, 1 and 2 are open", "CVE-2024-21626",
      needs: [.closedDescriptors]),
    .probe(
      "descriptor.streams", "0, 1 and 2 are streams, no directories or disks", "CVE-2024-21626",
      needs: [.validation], control: .bare(.text("control"))),
    .probe(
      "descriptor.directory", "the working directory is inside the root", "CVE-2024-21626",
      needs: [.rootChange], control: .bare(.text("control"))),
    .probe(
      "descriptor.chdir", "no open descriptor leads to a directory", "CVE-2024-21626",
      needs: [.closedDescriptors]),
    .probe(
      "descriptor.environment", "no variable of the caller's comes along", "environ(7)",
      needs: [.environment], .text("SLICE_PROBE_SECRET")),
    .probe(
      "resource.core", "no core file is written, by whatever program core_pattern names", "core(5)",
      needs: [.processLimits]),
    .probe(
      "resource.raise-limit", "a hard limit is not raised", "setrlimit(2)",
      depth: [.userNamespace, .capabilities]),
    .probe(
      "resource.oom-score",
      "no process makes itself less likely to be killed for memory than it was",
      "proc_pid_oom_score_adj(5)", depth: [.userNamespace, .capabilities]),
    .script(
      "descriptor.workdir",
      "a working directory through a descriptor is refused or inside the root",
      "CVE-2024-21626", needs: [.closedDescriptors], workingDirectory),
  ]

  private static func workingDirectory(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    for number in 3...20 {
      for path in ["/proc/self/fd/\(number)", "/proc/self/fd/\(number)/../../..", "/proc/1/cwd"] {
        let result = try bed.slicectl([
          "exec", slice, "--workdir", path, "--", "/probe", "run", "descriptor.directory",
          "mount.host-path=\(bed.secret)",
        ])
        let answers = ProbeAnswer.all(in: result.output)
        if let broken = answers.values.first(where: { $0.outcome == .broken }) {
          return .fail("with --workdir \(path): \(broken.text)")
        }
        if result.status == 0, answers.count < 2 {
          return .error("no answers with --workdir \(path)")
        }
      }
    }
    // The control: where descriptors are left open, one of these paths is a directory of the host.
    let control = ProbeAnswer.all(in: try bed.probe(["bare", "descriptor.chdir"]).output).values
      .first
    guard control?.outcome == .broken else {
      return .skip("the control could not be run: \(control?.text ?? "no answer")")
    }
    return .pass
  }
}
