import Glibc
import SliceModel

/// The filters that the supervisor is under, and with it everything that it starts: slices and their
/// commands, slice-unpack, mke2fs.
///
/// They take no call from a slice. A call that is not on the list fails with ENOSYS, but where the
/// slice's own filter has another word for it that counts: it refuses, or it asks slice-init
/// (`seccomp.log`), and both come before `absent`.
public enum SupervisorProfile {
  public static func programs() throws(SliceError) -> [SeccompProgram] {
    [
      try SeccompProgram(name: "supervisor: tracing", rules: tracingRules, otherwise: .allow),
      try SeccompProgram(
        name: "supervisor: calls",
        rules: (SeccompProfile.allowedCalls + launchCalls).map { SeccompRule($0, .allow) },
        otherwise: .absent),
    ]
  }

  /// What slices may not and the supervisor does, for the most part between clone and exec.
  static let launchCalls: [String] = """
    bpf clone3 fsconfig fsmount fsopen mount mount_setattr move_mount open_tree pivot_root quotactl \
    quotactl_fd sethostname setns umount2
    """.split(separator: " ").map(String.init)

  /// A tracer that asks to be told of `absent` calls could let them pass: nobody may ask for it
  /// (PTRACE_O_TRACESECCOMP, in the options of PTRACE_SETOPTIONS and PTRACE_SEIZE).
  static let tracingRules: [SeccompRule] = [UInt64(0x4200), 0x4206].map { request in
    SeccompRule(
      "ptrace", .fail(EPERM), when: .init(argument: 0, mask: .max, value: request),
      and: .init(argument: 3, mask: 0x80, value: 0x80))
  }
}
