import FoundationEssentials
import SliceModel
import Testing

@Suite struct SliceSpecTests {
  @Test func defaultsAreValid() throws { try SliceSpec().validate() }

  @Test func comesBackThroughJSON() throws {
    var spec = SliceSpec(
      image: "minimal", command: ["/bin/httpd", "-f", ""], environment: ["A=1", "B="],
      user: "33:33",
      workdir: "/srv", restart: .onFailure,
      mounts: [TemporaryMount(target: "/scratch", sizeBytes: 1 << 20)], allowUnenforced: true)
    try spec.settings.apply(["memory.max=64M"])
    try spec.validate()
    let data = try JSONEncoder().encode(spec)
    #expect(try JSONDecoder().decode(SliceSpec.self, from: data) == spec)
  }

  @Test func settingsAreValidated() throws {
    var spec = SliceSpec()
    try spec.settings.apply(["memory.min=2G", "memory.max=1G"])
    #expect(throws: SliceError.self) { try spec.validate() }
  }

  @Test(arguments: [[], [""], ["", "x"], ["a\u{0}b"], ["a", "b\u{0}"]])
  func refusesCommands(command: [String]) {
    #expect(throws: SliceError.self) { try SliceSpec(command: command).validate() }
  }

  @Test func boundsWhatExecTakes() throws {
    let limit = SliceSpec.maximumStringBytes
    try SliceSpec.validate(command: ["a", String(repeating: "x", count: limit - 1)])
    #expect(throws: SliceError.self) {
      try SliceSpec.validate(command: ["a", String(repeating: "x", count: limit)])
    }
    let large = String(repeating: "x", count: limit - 100)
    try SliceSpec.validate(command: Array(repeating: large, count: 4))
    #expect(throws: SliceError.self) {
      try SliceSpec.validate(command: Array(repeating: large, count: 5))
    }
    // Each string costs a pointer and a NUL besides.
    #expect(throws: SliceError.self) {
      try SliceSpec.validate(command: Array(repeating: "a", count: 60_000))
    }
  }

  @Test(arguments: ["A=", "A=b=c", "a b=c", "A=\u{301}x", "Ä=1"])
  func acceptsEnvironment(entry: String) throws { try SliceSpec.validate(environment: [entry]) }

  @Test(arguments: ["", "A", "=x", "=", "=\u{301}A=x", "A=\u{0}"])
  func refusesEnvironment(entry: String) {
    #expect(throws: SliceError.self) { try SliceSpec.validate(environment: ["B=1", entry]) }
  }

  @Test(arguments: ["www-data", "0", "33:33", "a:b", String(repeating: "a", count: 256)])
  func acceptsUsers(user: String) throws { try SliceSpec.validate(user: user) }

  @Test(arguments: ["", "a b", "a/b", "../x", "a\n", "\u{0}", String(repeating: "a", count: 257)])
  func refusesUsers(user: String) {
    #expect(throws: SliceError.self) { try SliceSpec.validate(user: user) }
  }

  @Test(arguments: ["", "srv", "./x", "/a\u{0}", "/" + String(repeating: "a", count: 4095)])
  func refusesWorkingDirectories(path: String) {
    #expect(throws: SliceError.self) { try SliceSpec.validate(workdir: path) }
  }

  @Test(arguments: ["/tmp", "/var/cache/x", "/devices", "//scratch", "/a/...", "/run.d"])
  func acceptsMountTargets(target: String) throws { try TemporaryMount(target: target).validate() }

  @Test(arguments: [
    "", "/", "//", "tmp", "/a/../b", "/..", "/a/.", "/./a", "/dev", "/dev/shm", "//proc/x", "/sys",
    "/run/",
    "/a\u{0}", "/" + String(repeating: "a", count: 4095),
    // Names that join with their separator to one Character.
    "/dev/\u{301}x", "/a/../\u{301}x",
  ])
  func refusesMountTargets(target: String) {
    #expect(throws: SliceError.self) { try TemporaryMount(target: target).validate() }
  }

  @Test func boundsMountSizes() throws {
    try TemporaryMount(target: "/t", sizeBytes: 4096).validate()
    for size in [0, 1, 4095, UInt64(1) << 62 + 1, UInt64.max] {
      #expect(throws: SliceError.self) {
        try TemporaryMount(target: "/t", sizeBytes: size).validate()
      }
    }
  }

  @Test func restartPoliciesAreTheCommandLines() {
    #expect(RestartPolicy.allCases.map(\.rawValue) == ["no", "on-failure", "always"])
  }
}

@Suite struct ImageReferenceTests {
  static let digest = "sha256:" + String(repeating: "0a", count: 32)

  @Test(arguments: [
    "host", "minimal", "debian:12", "a", "0", "a.b_c-d", "debian:bookworm-slim", digest,
  ])
  func accepts(text: String) { #expect(ImageReference.isValid(text)) }

  @Test(arguments: [
    "", ".", "..", "../x", "a/b", "A", "-a", "a:", ":a", "a:b:c", "a b", "a\n", "é", "а", "a\u{0}",
    "sha256:", "sha256:abc", digest + "0", digest.uppercased(), String(digest.dropLast()),
    String(repeating: "a", count: 129), "a\u{301}",
  ])
  func refuses(text: String) { #expect(!ImageReference.isValid(text)) }

  @Test func aDigestIsNoName() {
    #expect(ImageReference.isDigest(Self.digest))
    #expect(!ImageReference.isName(Self.digest))
    #expect(!ImageReference.isDigest("host"))
  }
}

@Suite struct SliceStateTests {
  @Test func wordsAreTheCommandLines() {
    #expect(
      SliceState.allCases.map(\.rawValue) == ["created", "running", "paused", "stopped", "failed"])
  }

  @Test func statusesAreAShells() {
    #expect(ExitStatus.exited(0).isSuccess && ExitStatus.exited(0).shellStatus == 0)
    #expect(ExitStatus.exited(255).shellStatus == 255)
    #expect(ExitStatus.signaled(9).shellStatus == 137 && !ExitStatus.signaled(9).isSuccess)
    #expect(ExitStatus.exited(3).description == "exited with status 3")
    #expect(ExitStatus.signaled(15).description == "ended by signal 15")
  }
}
