import Glibc
import SliceModel
import Testing

@testable import SliceKernel

@Suite struct CallListTests {
  @Test func listsAreOfCallsThatTheDefaultAllows() {
    let allowed = Set(SeccompProfile.allowedCalls)
    #expect(SeccompProfile.callsThatStrictRefuses.isSubset(of: allowed))
    #expect(SeccompProfile.callsOfSliceInit.isSubset(of: allowed))
    #expect(SeccompProfile.callsOfSliceInit.isDisjoint(with: SeccompProfile.callsThatStrictRefuses))
  }

  /// Whatever the rules are, nothing is allowed that the default refuses, and what was known stays known.
  @Test(arguments: [
    SystemCallRules(), SystemCallRules(profile: .strict), SystemCallRules(refused: ["ptrace"]),
    SystemCallRules(profile: .strict, allowed: ["getcpu", "ptrace"]), SystemCallRules(allowed: []),
    SystemCallRules(families: []), SystemCallRules(profile: .strict, families: [.netlink]),
  ])
  func rulesOnlyTakeAway(rules: SystemCallRules) throws {
    let lists = try CallLists(rules)
    let known = SeccompProfile.allowedCalls + SeccompProfile.deniedCalls
    #expect(Set(lists.allowed).isSubset(of: SeccompProfile.allowedCalls))
    #expect((lists.allowed + lists.refused).sorted() == known.sorted())
    #expect(Set(lists.allowed).isSuperset(of: SeccompProfile.callsOfSliceInit))
    if rules.profile == .strict {
      #expect(Set(lists.allowed).isDisjoint(with: SeccompProfile.callsThatStrictRefuses))
    }
  }

  @Test func callsHaveNamesAgain() {
    #expect(SystemCallName.text(165, architecture: 0xC000_003E) == "mount")
    #expect(SystemCallName.text(21, architecture: 0x4000_0003) == "i386 mount")
    #expect(SystemCallName.text(99_999, architecture: 0xC000_003E) == "call 99999")
    #expect(SystemCallName.text(0x4000_0000, architecture: 0xC000_003E) == "call 1073741824")
    #expect(SystemCallName.text(-1, architecture: 0) == "call -1")
  }

  /// The joined program asks exactly where one of the two refuses, and the answer is the stricter's.
  @Test func askingIsRefusing() throws {
    for rules in [SystemCallRules(), SystemCallRules(profile: .strict, refused: ["getcpu"])] {
      let profile = try SeccompProfile.networkService(rules)
      let asking = try AskingProfile(rules)
      let arguments: [[UInt64]] = [
        [0, 0, 0, 0], [40, 3, 0, 0], [16, 3, 0, 0], [2, 1, 0, 0], [0x1000_0000, 0x5412, 0, 0],
        [0, 0x5412 | 1 << 40, 0, 0], [0xFFFF_FFFF, 0, 0, 0],
      ]
      for number in UInt32(0)..<520 {
        for values in arguments {
          let answers = profile.programs.map { $0.result(number, values) }
          let asked = asking.program.result(number, values)
          guard
            let refusal = answers.filter({ $0 != SeccompProgram.allowing }).min(by: {
              $0 ?? 0 < $1 ?? 0
            })
          else {
            #expect(asked == SeccompProgram.allowing, "\(number)\(values)")
            continue
          }
          #expect(asked == 0x7FC0_0000, "\(number)\(values)")
          let expected = number < 512 ? UInt32(asking.answers[Int(number)]) : UInt32(ENOSYS)
          // Two programs may refuse the same call; the kernel takes the one loaded last.
          let last = answers.last { $0 != SeccompProgram.allowing } ?? refusal
          #expect(last == 0x0005_0000 | expected, "\(number)\(values)")
        }
      }
      // By the i386 entry too.
      #expect(asking.program.result(21, [0], architecture: 0x4000_0003) == 0x7FC0_0000)
    }
  }
}
