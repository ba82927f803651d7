/// Which system calls a slice may make, as its `seccomp.*` keys ask: a profile, and what is taken from it.
/// Nothing adds to what the default profile allows.
public struct SystemCallRules: Sendable, Hashable {
  public enum Profile: String, Sendable, Hashable, CaseIterable {
    /// For network services of any kind.
    case `default`
    /// Less what few services need.
    case strict
  }

  /// Families of sockets that any slice may have.
  public enum SocketFamily: String, Sendable, Hashable, CaseIterable {
    case unix, ipv4, ipv6, netlink
  }

  public var profile: Profile
  /// These fail.
  public var refused: Set<String>
  /// With a list, everything else fails, less what a slice cannot start without.
  public var allowed: Set<String>?
  /// Nil: those of the profile.
  public var families: Set<SocketFamily>?
  /// What is refused is noted, for `slicectl inspect`.
  public var logs: Bool

  public init(
    profile: Profile = .default, refused: Set<String> = [], allowed: Set<String>? = nil,
    families: Set<SocketFamily>? = nil, logs: Bool = false
  ) {
    self.profile = profile
    self.refused = refused
    self.allowed = allowed
    self.families = families
    self.logs = logs
  }
}

extension Settings {
  /// Refuses families that no slice may have. Whether calls exist is known to whoever compiles the filter.
  public func systemCallRules() throws(SliceError) -> SystemCallRules {
    func list(_ key: Key) -> Set<String>? {
      if case .list(let items) = self[key] { Set(items) } else { nil }
    }
    var rules = SystemCallRules(
      profile: word(.seccompProfile).flatMap(SystemCallRules.Profile.init(rawValue:)) ?? .default,
      refused: list(.seccompRefuse) ?? [], allowed: list(.seccompAllow))
    if let names = list(.seccompSockets) {
      rules.families = []
      for name in names.sorted() where name != "none" {
        guard let family = SystemCallRules.SocketFamily(rawValue: name) else {
          throw SliceError(
            .usage,
            "seccomp.sockets: '\(name.escapedForTerminal)' is no family that a slice may have",
            hint: "any of "
              + SystemCallRules.SocketFamily.allCases.map(\.rawValue).joined(separator: ", ")
              + ", or none")
        }
        rules.families?.insert(family)
      }
    }
    if case .flag(true) = self[.seccompLog] { rules.logs = true }
    if rules.logs, self[.rawAllow] != nil {
      throw SliceError(
        .usage, "seccomp.log cannot note the refused calls of a slice with raw.allow",
        hint:
          "the kernel takes one listener for a slice, which its broker has; leave one of the two out"
      )
    }
    return rules
  }
}
