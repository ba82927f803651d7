import Testing

@testable import SliceModel

@Suite struct SystemCallRulesTests {
  private func rules(_ assignments: String...) throws -> SystemCallRules {
    var settings = Settings()
    try settings.apply(assignments)
    return try settings.systemCallRules()
  }

  @Test func nothingAskedIsTheDefault() throws {
    #expect(try rules() == SystemCallRules())
    #expect(try rules("seccomp.profile=default", "seccomp.log=false") == SystemCallRules())
  }

  @Test func everyKeyCounts() throws {
    #expect(
      try rules(
        "seccomp.profile=strict", "seccomp.refuse=ptrace,shmget", "seccomp.allow=read",
        "seccomp.sockets=unix,ipv6", "seccomp.log=true")
        == SystemCallRules(
          profile: .strict, refused: ["ptrace", "shmget"], allowed: ["read"],
          families: [.unix, .ipv6], logs: true))
    #expect(try rules("seccomp.sockets=none").families == [])
  }

  /// A node's default can be answered, not only left out.
  @Test func defaultIsAValueOfItsOwn() throws {
    var settings = Settings()
    try settings.apply(["seccomp.profile=default"])
    #expect(settings.keys == [.seccompProfile])
    try settings.apply(["seccomp.profile="])
    #expect(settings.keys == [])
  }

  @Test(arguments: ["seccomp.sockets=vsock", "seccomp.sockets=UNIX"])
  func familiesAreThoseThatSlicesMayHave(assignment: String) throws {
    var settings = Settings()
    try settings.apply([assignment])
    let error = #expect(throws: SliceError.self) { try settings.validate() }
    #expect(error?.code == .usage)
    #expect(error?.hint?.contains("netlink") == true)
  }

  @Test func oneListenerIsForOne() throws {
    var settings = Settings()
    try settings.apply(["seccomp.log=true", "raw.allow=icmp"])
    let error = #expect(throws: SliceError.self) { try settings.validate() }
    #expect(error?.code == .usage)
  }
}
