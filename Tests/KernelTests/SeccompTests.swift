import SliceModel
import Testing

@testable import SliceKernel

@Suite struct SeccompTests {
  @Test func noCallIsAllowedAndDenied() {
    let allowed = SeccompProfile.allowedCalls
    let denied = SeccompProfile.deniedCalls
    #expect(Set(allowed).isDisjoint(with: denied))
    #expect(Set(allowed).count == allowed.count)
    #expect(Set(denied).count == denied.count)
  }

  @Test func bothProgramsFitTheKernel() throws {
    let programs = try SeccompProfile.networkService().programs
    #expect(programs.count == 2)
    for program in programs { #expect((1...4096).contains(Int(program.instructionCount))) }
  }

  @Test func aCallThatNobodyKnowsIsAnError() {
    let error = #expect(throws: SliceError.self) {
      try SeccompProgram(
        name: "test", rules: [SeccompRule("no_such_call", .allow)], otherwise: .fail(38))
    }
    #expect(error?.message.contains("no_such_call") == true)
  }

  /// Calls with a rule for their arguments must pass the other program, or the rule is idle.
  @Test func argumentRulesAreAboutAllowedCalls() {
    for rule in SeccompProfile.argumentRules(.asked) + SeccompProfile.argumentRules(.refused) {
      #expect(SeccompProfile.allowedCalls.contains(rule.call), "\(rule.call)")
      #expect(rule.condition != nil)
    }
  }

  @Test(arguments: [
    "clone3", "mount", "bpf", "io_uring_setup", "userfaultfd", "perf_event_open", "keyctl",
    "add_key", "kexec_load", "init_module", "open_by_handle_at", "pivot_root", "setns", "fsopen",
    "move_mount", "reboot", "swapon",
  ])
  func whatReachesIntoTheKernelIsNotAllowed(call: String) {
    #expect(!SeccompProfile.allowedCalls.contains(call))
  }
}
