/// Images that lead a careless runtime out of the root: links where it mounts, opens or makes something. Each is
/// refused, or has its links resolved inside.
enum ImageCases {
  static let all: [ConformanceCase] =
    links.map { path in
      let name = path.map { $0 == "/" ? "-" : $0 }
      return .script(
        "image.link-\(String(name))",
        "an image with a link at /\(path) makes nothing happen on the host",
        "CVE-2021-30465, CVE-2025-31133, CVE-2025-52565, CVE-2019-19921",
        needs: held.contains(path) ? [] : [.pathResolution],
        depth: held.contains(path) ? [.pathResolution, .rootChange, .freshDevices] : []
      ) { try judge($0, path) { archive, target in archive.add(path, .link(target)) } }
    }
    + files.map { path in
      .script(
        "image.file-\(path)", "an image with a file at /\(path) is refused or does no harm",
        "CVE-2023-27561",
        depth: [.pathResolution, .rootChange]
      ) { try judge($0, path) { archive, _ in archive.add(path, .file([65], executable: false)) } }
    } + [
      .script(
        "image.escape", "an archive writes nothing outside of the image", "CVE-2007-4131, tar(5)",
        depth: [.pathResolution, .rootChange], archiveEscapes)
    ]

  private static let links = [
    "proc", "sys", "dev", "tmp", "run", "dev/pts", "dev/null", "dev/console", "dev/shm",
    "var", "var/cache", "srv", "srv/a", "etc/passwd",
  ]
  /// With these a careless launch doesn't get far enough to do harm: the link leads nowhere inside, or is covered.
  private static let held = Set(links).subtracting(["var", "srv", "srv/a"])
  private static let files = ["proc", "sys", "dev", "tmp", "run"]

  private static func judge(
    _ bed: TestBed, _ path: String, _ change: (inout TarArchive, String) -> Void
  ) throws -> Verdict {
    let before = bed.traces
    let imported = try bed.importImage(String(path.map { $0 == "/" ? "." : $0 })) { archive in
      for parent in parents(of: path) where parent != "etc" { archive.add(parent, .directory) }
      change(&archive, bed.directory)
    }
    guard case .success(let image) = imported else { return .pass }  // refused at the border
    let made = try bed.makeSlice(image: image, mounts: ["/var/cache", "/srv/a/b"])
    var verdict = Verdict.pass
    if case .success(let slice) = made {
      let list = [
        "device.listed=", "mount.host-path=\(bed.secret)", "mount.magic-links=\(bed.secret)",
        "files.read-only=/proc/sys", "mount.nosuid=",
      ]
      let answers = ProbeAnswer.all(in: try bed.probe(in: slice, ["run"] + list).output)
      if let broken = answers.values.first(where: { $0.outcome == .broken }) {
        verdict = .fail(broken.text)
      } else if answers.count < list.count {
        verdict = .error("the slice runs and the probes don't")
      }
      try bed.destroy(slice)
    }
    return bed.escape(since: before) ?? verdict
  }

  private static func parents(of path: String) -> [String] {
    let parts = path.split(separator: "/").dropLast()
    return parts.indices.map { parts[...$0].joined(separator: "/") }
  }

  /// Names that lead out, and a file written through a link of the same archive.
  private static func archiveEscapes(_ bed: TestBed) throws -> Verdict {
    let target = String(bed.directory.dropFirst())
    let up = String(repeating: "../", count: 12)
    let before = bed.traces
    let changes: [(inout TarArchive) -> Void] = [
      { $0.add("\(up)\(target)/escaped", .file([65], executable: false)) },
      { $0.add("/\(target)/escaped", .file([65], executable: false)) },
      {
        $0.add("out", .link("/\(target)"))
        $0.add("out/escaped", .file([65], executable: false))
      },
      {
        $0.add("out", .link("\(up)\(target)"))
        $0.add("out/escaped", .file([65], executable: false))
      },
    ]
    for (number, change) in changes.enumerated() {
      _ = try bed.importImage("escape\(number)", change)
      if case .fail(let reason)? = bed.escape(since: before) {
        return .fail("archive \(number + 1): \(reason)")
      }
    }
    return .pass
  }
}
