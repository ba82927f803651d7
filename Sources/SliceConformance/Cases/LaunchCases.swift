import Descriptor
import Glibc

/// What a process of a slice is born with.
enum LaunchCases {
  static let all: [ConformanceCase] = [
    .probe(
      "descriptor.only-streams", "only the descriptors 0, 1 and 2 are open", "CVE-2024-21626",
      needs: [.closedDescriptors]),
    .probe(
      "descriptor.streams", "0, 1 and 2 are streams, no directories or disks", "CVE-2024-21626",
      depth: [.validation, .closedDescriptors], control: .bare(.text("control"))),
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
      "descriptor.given", "a directory or a mere path that a caller gives as a stream is refused",
      "CVE-2024-21626", needs: [.validation], givenStreams),
    .script(
      "descriptor.workdir",
      "a working directory through a descriptor is refused or inside the root",
      "CVE-2024-21626", needs: [.closedDescriptors], workingDirectory),
  ]

  /// slicectl hands over none, so the supervisor is asked without it.
  private static func givenStreams(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    /// Executes with this as standard input; the exit status is slice-probe's.
    func reply(_ path: String, _ flags: Int32) throws -> String {
      let input = OwnedFD(adopting: try checked("open", path) { open(path, flags | O_CLOEXEC) })
      let null = OwnedFD(
        adopting: try checked("open", "/dev/null") { open("/dev/null", O_WRONLY | O_CLOEXEC) })
      let call =
        #"{"method":"org.sliceruntime.Slices.Execute","more":true,"parameters":{"name":"\#(slice)","command":["/probe","list"],"environment":[]}}"#
      return try RawClient(bed.tools.socket).exchange(
        call, descriptors: [input.rawValue, null.rawValue, null.rawValue])
    }
    let pathOnly: Int32 = 0o10000000  // O_PATH
    for (path, flags, what) in [
      ("/", O_RDONLY, "a directory"), (bed.directory, O_RDONLY, "a directory"),
      (bed.secret, pathOnly, "a path alone"),
    ] {
      let answer = try reply(path, flags)
      guard answer.contains("\"error\"") else {
        return .fail("the supervisor took \(what), \(path), as a stream: \(answer.prefix(200))")
      }
    }
    let control = try reply(bed.secret, O_RDONLY)
    return control.isEmpty || control.contains("\"error\"")
      ? .error("the control: a file is refused as well: \(control.prefix(200))") : .pass
  }

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
