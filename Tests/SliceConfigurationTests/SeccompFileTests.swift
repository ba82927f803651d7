import SliceModel
import Testing

@testable import SliceConfiguration

@Suite struct SeccompFileTests {
  private func parse(_ text: String) throws(SliceError) -> [String] {
    try SeccompFile.parse(bytes: Array(text.utf8), fileName: "p.toml")
      .map { "\($0.key.rawValue)=\($0.text)" }
  }

  @Test func keysAreThoseOfTheTable() throws {
    #expect(
      try parse(
        """
        profile = "strict"
        refuse = ["ptrace", "shmget"]
        log = true
        """) == ["seccomp.profile=strict", "seccomp.refuse=ptrace,shmget", "seccomp.log=true"])
    #expect(try parse("# nothing\n").isEmpty)
  }

  @Test func theSameInASliceFile() throws {
    let file = try SliceFile.parse(
      text: "[seccomp]\nallow = [\"read\"]\nsockets = [\"unix\"]\n", fileName: "slice.toml")
    #expect(file.spec.settings.texts == ["seccomp.allow": "read", "seccomp.sockets": "unix"])
  }

  @Test(arguments: [
    ("refuse = 3", "p.toml:1:10: refuse: expected a list"), ("refse = []", "unknown key 'refse'"),
    ("profile = \"lax\"", "seccomp.profile=lax is not valid"),
    ("[seccomp]", "unknown key 'seccomp'"),
    ("refuse = [", "syntax error"),
  ])
  func mistakesAreNamed(text: String, message: String) {
    let error = #expect(throws: SliceError.self) { try parse(text) }
    #expect(error?.code == .usage)
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }
}
