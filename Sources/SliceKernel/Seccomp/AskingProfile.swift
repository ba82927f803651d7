import CSeccomp
import Glibc
import SliceModel

/// A profile whose refusals somebody hears of: one program, with a listener, which asks wherever the
/// profile's own would refuse. Whoever listens answers with what they would have.
public struct AskingProfile: Sendable {
  public let program: SeccompProgram
  /// errno by number of the call, as struct slice_refusals of slice_refusals.h has them; for raw sockets
  /// slice-init knows it.
  public let answers: [UInt8]

  private static let callCount = 512  // SLICE_REFUSALS_CALLS

  public init(_ rules: SystemCallRules) throws(SliceError) {
    let calls = try CallLists(rules)
    let profile = try SeccompProfile.networkService(rawSockets: .noted, rules)
    program = try SeccompProgram(
      asking: profile.programs[0], profile.programs[1], name: "\(calls.name): asks")
    var answers = [UInt8](repeating: UInt8(ENOSYS), count: Self.callCount)
    func set(_ call: String, _ error: Int32) {
      let number = Int(cseccomp_number(call))
      if answers.indices.contains(number) { answers[number] = UInt8(error) }
    }
    for call in calls.allowed + calls.refused { set(call, EPERM) }
    for rule in SeccompProfile.argumentRules(.refused) + calls.familyRules {
      // A call that is refused whole is so whatever its arguments are.
      guard case .fail(let error) = rule.action, calls.allowed.contains(rule.call) else { continue }
      set(rule.call, error)
    }
    self.answers = answers
  }
}
