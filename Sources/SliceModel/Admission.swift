/// What a slice holds of its node, running or not: it may start at any time.
public struct Holding: Sendable, Hashable {
  /// User id.
  public var owner: UInt32
  public var settings: Settings
  /// What a change under way will make of them. Until it is through, both count: it may fail.
  public var pending: Settings?

  public init(owner: UInt32, settings: Settings, pending: Settings? = nil) {
    self.owner = owner
    self.settings = settings
    self.pending = pending
  }

  func amount(_ key: Key) -> UInt64 {
    max(settings.amount(key), pending?.amount(key) ?? 0)
  }
}

extension NodeCapacity {
  /// Keys whose sum over all slices is never more than the node has: guarantees cannot be given
  /// twice.
  public var promises: [(key: Key, amount: UInt64)] {
    [(.memoryMin, memoryBytes)] + (diskBytes.map { [(.diskMax, $0)] } ?? [])
      + (bitsPerSecond.map { [(.netMin, $0)] } ?? [])
  }

  /// What a node has of a key; nil where there is no such figure.
  public func amount(_ key: Key) -> UInt64? {
    switch key {
    case .cpuMax: millicores
    case .memoryMin, .memoryMax: memoryBytes
    case .pidsMax: pids
    case .diskMax: diskBytes
    case .netMin, .netMax: bitsPerSecond
    default: nil
    }
  }
}

/// Decides whether a node can give a slice what it asks for.
public struct Admission: Sendable {
  private let capacity: NodeCapacity
  private let others: [Holding]

  /// - Parameter others: what every slice holds but the one that asks.
  public init(capacity: NodeCapacity, others: [Holding]) {
    self.capacity = capacity
    self.others = others
  }

  /// Whether the other slices matter for a new one: it is promised something, or its owner is bound. For
  /// all others a node with thousands need not be added up.
  public static func isNeeded(
    for settings: Settings, of capacity: NodeCapacity, within bounds: OwnerBounds?
  ) -> Bool {
    bounds != nil || capacity.promises.contains { settings.amount($0.key) > 0 }
  }

  /// Refuses settings that the node cannot guarantee, or that are more than their owner may have.
  ///
  /// - Parameters:
  ///   - bounds: nil for who is not bound.
  ///   - current: of a slice that is there already. What grows is judged, so that a slice admitted
  ///     under an earlier policy can still be changed for less.
  public func admit(
    _ settings: Settings, owner: UInt32, within bounds: OwnerBounds?,
    insteadOf current: Settings? = nil
  ) throws(SliceError) {
    for promise in capacity.promises {
      try check(
        promise.key, settings, current, bound: promise.amount, used: total(promise.key),
        "this node can promise")
    }
    guard let bounds else { return }
    if current == nil, let most = bounds.slices {
      let count = others.count { $0.owner == owner }
      guard count < most else {
        throw SliceError(
          .refused, "slices: you may have \(most), and have \(count): none is left",
          hint: "destroy one first")
      }
    }
    for key in Key.allCases {
      guard let bound = bounds.sums[key] else { continue }
      try check(
        key, settings, current, bound: bound, used: total(key, of: owner), "your slices may have")
    }
    try bounds.admit(grants: settings, beyond: current)
    try bounds.admit(allowances: settings, beyond: current)
    try bounds.admit(ports: settings, beyond: current)
  }

  private func check(
    _ key: Key, _ settings: Settings, _ current: Settings?, bound: UInt64, used: UInt64,
    _ subject: String
  ) throws(SliceError) {
    let asked = settings.amount(key)
    if let current, asked <= current.amount(key) { return }
    guard used.addingSaturating(asked) > bound, asked > 0 else { return }
    let left = bound - min(used, bound)
    let what =
      settings[key].map { "\(key.rawValue)=\($0)" }
      ?? (asked == .max ? "\(key.rawValue) is not set" : "\(key.rawValue)=\(asked), the default")
    let fitting = key.text(left)
    throw SliceError(
      .refused,
      "\(what): \(subject) \(key.text(bound)) in all, of which \(fitting) \(left == 0 ? "is" : "is still") left",
      hint: left >= max(key.least, 1)
        ? "\(key.rawValue)=\(fitting) would fit; 'slicectl offers' shows what is left"
        : "lower it for another slice, or destroy one; 'slicectl offers' shows what is left")
  }

  private func total(_ key: Key, of owner: UInt32? = nil) -> UInt64 {
    others.reduce(0) { sum, holding in
      owner == nil || holding.owner == owner ? sum.addingSaturating(holding.amount(key)) : sum
    }
  }

  // MARK: - What is left

  /// What there is of one key, in the unit of `Settings.Value.amount`; nil: no such figure, or no
  /// limit.
  public struct Offer: Sendable, Hashable {
    public var key: Key
    /// All slices together can have.
    public var node: UInt64?
    /// Of that is promised already; nil where the node makes no promises of this key.
    public var promised: UInt64?
    public var bound: UInt64?
    /// The owner's slices hold; nil: at least one has no limit.
    public var used: UInt64?

    public var free: UInt64? {
      promised.flatMap { promised in node.map { $0 - min(promised, $0) } }
    }
    /// The most that a further slice of the owner can have.
    public var left: UInt64? {
      let own = bound.map { $0 - min(used ?? .max, $0) }
      guard let own, let free else { return own ?? free }
      return min(own, free)
    }
  }

  /// Every key that can be added up.
  public func offers(owner: UInt32, within bounds: OwnerBounds?) -> [Offer] {
    let promises = Dictionary(uniqueKeysWithValues: capacity.promises.map { ($0.key, $0.amount) })
    return Key.allCases.filter { $0.sum != nil }.map { key in
      let used = total(key, of: owner)
      return Offer(
        key: key, node: capacity.amount(key), promised: promises[key].map { min(total(key), $0) },
        bound: bounds?.sums[key], used: used == .max ? nil : used)
    }
  }
}

extension UInt64 {
  fileprivate func addingSaturating(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
