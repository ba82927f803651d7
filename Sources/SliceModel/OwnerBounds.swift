/// What an owner may ask for, all slices of theirs together.
public struct OwnerBounds: Sendable, Hashable {
  /// Nil: any number.
  public var slices: Int?
  /// By key, in the unit of `Settings.Value.amount`.
  public var sums: [Key: UInt64] = [:]
  /// Names, with `*` at the end for any continuation; nil: all.
  public var images: [String]?
  /// Of `Grants.kinds`.
  public var grants: Set<String> = []
  /// What `net.allow` of their slices may name, or parts of it.
  public var networks: [NetworkAllowance] = []
  /// Ports of the host that may be published.
  public var ports: [PortRange] = [.unprivileged]
  /// How many overlays they may make.
  public var overlays = 16
  /// A slice without a lease gets it; nil: a slice may live for ever.
  public var longestLease: TimeSpan?

  /// No bound on amounts, no grant, no network, and no port that is privileged.
  public init() {}

  public func allows(image name: String) -> Bool {
    guard let images else { return true }
    return images.contains { pattern in
      pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }
  }

  /// Refuses an image of which no name is allowed.
  ///
  /// - Parameters:
  ///   - reference: as it was asked for.
  ///   - names: all that mean the image.
  public func admit(image reference: String, names: [String]) throws(SliceError) {
    guard !names.contains(where: allows(image:)) else { return }
    throw SliceError(
      .refused, "image '\(reference.escapedForTerminal)' is not one that you may use",
      hint: "you may use: " + (images ?? []).joined(separator: ", "))
  }

  /// Refuses a lease beyond the longest.
  public func admit(lease: TimeSpan) throws(SliceError) {
    guard let longestLease, lease > longestLease else { return }
    throw SliceError(
      .refused, "lease=\(lease): your slices may have \(longestLease) at most",
      hint: "lease=\(longestLease) would fit; 'slicectl renew' renews it")
  }

  /// Refuses what is not granted; what a slice has already it keeps.
  func admit(grants wanted: Settings, beyond current: Settings?) throws(SliceError) {
    let present = current?.grants ?? []
    for grant in wanted.grants
    where !present.contains(grant) && !grants.contains(Grants.kind(grant)) {
      throw SliceError(
        .refused, "'\(grant.escapedForTerminal)' is not granted to you",
        hint: grants.isEmpty
          ? "nothing is: ask the node's administrator"
          : "granted are: " + grants.sorted().joined(separator: ", "))
    }
  }
}

extension OwnerBounds {
  /// Refuses what is beyond `networks`; what a slice may reach already it keeps.
  func admit(allowances wanted: Settings, beyond current: Settings?) throws(SliceError) {
    let present = try current?.networkAllowances() ?? []
    for allowance in try wanted.networkAllowances()
    where !present.contains(allowance) && !networks.contains(where: { $0.covers(allowance) }) {
      throw SliceError(
        .refused, "net.allow=\(allowance) is not for you to allow",
        hint: networks.isEmpty
          ? "ask the node's administrator: nothing is"
          : "you may allow: " + networks.map(\.description).joined(separator: ", "))
    }
  }
}

extension NodePolicy {
  /// Whom bounds are for: `NAME`, `@GROUP`, or `*` for everybody else.
  public struct OwnerRule: Sendable, Hashable {
    public var subject: String
    public var bounds: OwnerBounds
    public init(subject: String, bounds: OwnerBounds) {
      self.subject = subject
      self.bounds = bounds
    }
  }

  /// The bounds of a user: the rule with the name; else the first with one of the groups, in the
  /// order of the file; else that for everybody; else grants alone are withheld.
  public func bounds(user: String, groups: Set<String>) -> OwnerBounds {
    let rule =
      owners.first { $0.subject == user }
      ?? owners.first {
        $0.subject.hasPrefix("@") && groups.contains(String($0.subject.dropFirst()))
      }
      ?? owners.first { $0.subject == "*" }
    return rule?.bounds ?? OwnerBounds()
  }

  /// The settings of a new slice: what was asked, the node's defaults where nothing was, and a lease
  /// where the owner needs one.
  ///
  /// - Throws: `usage` where a default contradicts what was asked, `refused` for too long a lease.
  public func completed(
    _ asked: Settings, within bounds: OwnerBounds?
  ) throws(SliceError) -> Settings {
    try completed(asked, Key.allCases, within: bounds)
  }

  /// The same after a change of `keys`: the others stay as they are.
  public func completed(
    _ asked: Settings, _ keys: [Key], within bounds: OwnerBounds?
  ) throws(SliceError) -> Settings {
    var settings = asked
    settings.fill(keys, from: defaults)
    if keys.contains(.lease), let longest = bounds?.longestLease {
      if let wanted = asked.lease { try bounds?.admit(lease: wanted) }
      try settings.set(.lease, to: min(settings.lease ?? longest, longest).description)
    }
    do throws(SliceError) {
      try settings.validate()
    } catch {
      let filled = keys.filter { asked[$0] == nil && defaults[$0] != nil }
      guard !filled.isEmpty else { throw error }
      let texts = defaults.texts
      throw SliceError(
        error.code, error.message,
        hint: "the node's defaults are "
          + filled.map { "\($0.rawValue)=\(texts[$0.rawValue] ?? "")" }.joined(separator: " "))
    }
    return settings
  }
}
