import CSeccomp
import Glibc
import SliceModel

/// What a slice's rules make of the default's lists. Calls are only ever taken away.
struct CallLists {
  /// What the programs are called.
  let name: String
  let allowed: [String]
  /// EPERM; every other call is ENOSYS.
  let refused: [String]
  /// For the families that the rules leave out.
  let familyRules: [SeccompRule]

  init(_ rules: SystemCallRules) throws(SliceError) {
    let known = Set(SeccompProfile.allowedCalls)
    try Self.check(rules.refused, .seccompRefuse)
    try Self.check(rules.allowed ?? [], .seccompAllow)
    if let call = rules.allowed?.subtracting(known).min() {
      throw SliceError(
        .usage, "seccomp.allow: the default profile does not allow \(call)",
        hint: "a profile of one's own can only take calls away")
    }
    let needed = SeccompProfile.callsOfSliceInit
    if let call = rules.refused.intersection(needed).min() {
      throw SliceError(
        .usage, "seccomp.refuse: slice-init cannot start or watch a service without \(call)",
        hint: "slice.toml(5), SYSTEM CALLS, lists what cannot be refused")
    }
    var left = known
    if rules.profile == .strict { left.subtract(SeccompProfile.callsThatStrictRefuses) }
    if let allowed = rules.allowed { left.formIntersection(allowed.union(needed)) }
    left.subtract(rules.refused)
    allowed = left.sorted()
    refused = SeccompProfile.deniedCalls + known.subtracting(left).sorted()
    let families =
      rules.families ?? (rules.profile == .strict ? [.unix, .ipv4, .ipv6] : Set(Family.allCases))
    familyRules = Family.allCases.filter { !families.contains($0) }.flatMap(Self.refuse)
    let isOwn = !rules.refused.isEmpty || rules.allowed != nil || rules.families != nil
    name =
      "network-service" + (rules.profile == .strict ? ", strict" : "") + (isOwn ? ", own" : "")
  }

  private typealias Family = SystemCallRules.SocketFamily

  /// As `socketRules` of the default profile.
  private static func refuse(_ family: Family) -> [SeccompRule] {
    let number: UInt64 =
      switch family {
      case .unix: 1
      case .ipv4: 2
      case .ipv6: 10
      case .netlink: 16
      }
    return ["socket", "socketpair"].map { call in
      SeccompRule(
        call, .fail(EAFNOSUPPORT), when: .init(argument: 0, mask: 0xFFFF_FFFF, value: number))
    }
  }

  /// A name that nobody knows is a mistake in writing more often than a call of the future, and would
  /// not be refused.
  private static func check(_ calls: Set<String>, _ key: Key) throws(SliceError) {
    for call in calls.sorted() where cseccomp_number(call) < 0 {
      throw SliceError(
        .usage, "\(key.rawValue): there is no system call '\(call.escapedForTerminal)' on x86-64",
        hint: "write names as in syscalls(2)")
    }
  }
}

/// A call by number, as a person reads it.
public enum SystemCallName {
  /// - Parameter architecture: AUDIT_ARCH_* of linux/audit.h.
  public static func text(_ number: Int32, architecture: UInt32) -> String {
    let i386: UInt32 = 0x4000_0003
    let entry = architecture == i386 ? "i386 " : ""
    // x32 calls have this bit set, and numbers of their own.
    guard architecture == i386 || number & 0x4000_0000 == 0,
      let name = cseccomp_name(architecture, number)
    else { return "\(entry)call \(number)" }
    defer { free(name) }
    return entry + String(cString: name)
  }
}
