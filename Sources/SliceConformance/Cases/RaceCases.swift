import Glibc

/// Names in a slice that change, while it runs, from its own things to links to the host's, and back: CShims/probe/race.c.
enum RaceCases {
  static let all: [ConformanceCase] = [
    .script(
      "race.paths", "commands and restarts that meet names in the midst of a change stay inside",
      "CVE-2021-30465, CVE-2019-16884, CVE-2025-52565", needs: [.pathResolution], paths)
  ]

  /// The host's directory has a user that no image has, and a secret.
  private static func paths(_ bed: TestBed) throws -> Verdict {
    try bed.write(Array("mallory:x:0:0::/:/probe\n".utf8), to: "passwd")
    defer { unlink(bed.directory + "/passwd") }
    let before = bed.traces
    let slice: String
    switch try bed.makeSlice(
      image: bed.image, service: ["race", bed.directory], mounts: ["/srv/a/b"])
    {
    case .success(let name): slice = name
    case .failure(let error): return .error(error.message)
    }
    try bed.waitForService(slice)
    let verdict = try attack(bed, slice)
    try bed.destroy(slice)
    if let escaped = bed.escape(since: before) { return escaped }
    guard verdict == .pass else { return verdict }
    let control = ProbeAnswer.all(in: try bed.probe(["careless", bed.directory]).output).values
      .first
    return control?.outcome == .broken
      ? .pass : .skip("who is careless isn't led out either: \(control?.text ?? "no answer")")
  }

  private static func attack(_ bed: TestBed, _ slice: String) throws -> Verdict {
    var seen = 0
    for _ in 1...16 {
      let inside = try bed.slicectl([
        "exec", slice, "--workdir", "/race", "--", "/probe", "run", "descriptor.directory",
        "files.listed=secret",
      ])
      let answers = ProbeAnswer.all(in: inside.output)
      if let broken = answers.values.first(where: { $0.outcome == .broken }) {
        return .fail("with --workdir /race: \(broken.text)")
      }
      seen += answers.isEmpty ? 0 : 1
      let user = try bed.probe(in: slice, ["run", "identity.is=none"], user: "mallory")
      if let answer = ProbeAnswer.all(in: user.output).values.first {
        return .fail("--user mallory, whom only the host's file has, ran as \(answer.detail)")
      }
    }
    // By now its mount's place is a link: that is refused, or made inside, not on the host.
    if try bed.slicectl(["restart", slice]).status != 0 {
      _ = try bed.slicectl(["start", slice])
    }
    return seen > 0 ? .pass : .error("no command ran in /race")
  }
}
