import Descriptor
import SliceKernel
import SliceModel

/// Who may have how much of the node.
extension Node {
  /// Judges `slice` against all others of the table, whose lock is held.
  func admission(beside slice: ManagedSlice, in table: [SliceName: ManagedSlice]) -> Admission {
    Admission(
      capacity: presentCapacity, others: table.values.filter { $0 !== slice }.map(\.holding))
  }

  /// With what the links to the world carry now.
  public var presentCapacity: NodeCapacity {
    var present = capacity
    present.bitsPerSecond = environment.uplinks.bitsPerSecond
    return present
  }

  /// Parts of the uplink that slices with these settings get when all of them send as much as they can.
  public func networkShares(_ settings: [Settings]) -> [Double] {
    let shape = TrafficShape(total: environment.uplinks.bitsPerSecond)
    return shape.shares(settings.map { TrafficWish($0) })
  }

  /// Has a slice hold what a change will need, beside what it has, if there is room for it. Returns it
  /// with what was left to the node.
  func claim(
    _ asked: Settings, for slice: ManagedSlice, within bounds: OwnerBounds?
  ) throws(SliceError) -> Settings {
    try table.withLock { (table) throws(SliceError) in
      let present = slice.holding
      let settings = try withPorts(
        asked, for: slice, owner: present.owner, in: table, within: bounds,
        insteadOf: present.settings)
      try admission(beside: slice, in: table).admit(
        settings, owner: present.owner, within: bounds, insteadOf: present.settings)
      try claimPorts(settings, for: slice, within: bounds, in: table)
      slice.claim(settings)
      return settings
    }
  }

  /// Refuses processors that the host does not have.
  func requireProcessors(_ settings: Settings) throws(SliceError) {
    guard let wanted = settings.cpuSet else { return }
    let online = try reporting("find the processors") { () throws(SystemError) in
      try HostFacts.onlineProcessors()
    }
    guard wanted.isSubset(of: online) else {
      throw SliceError(
        .usage, "cpu.set=\(wanted): this host has not all of them",
        hint: "it has the processors \(online)")
    }
  }

  /// How many slices the node has room for, and how many there are.
  public var room: (slices: Int, taken: Int) {
    (environment.numbers.capacity, table.withLock { $0.count })
  }

  /// What a user could still get.
  public func offers(owner: UInt32, within bounds: OwnerBounds?) -> [Admission.Offer] {
    let holdings = table.withLock { $0.values.map(\.holding) }
    return Admission(capacity: presentCapacity, others: holdings)
      .offers(owner: owner, within: bounds)
  }
}
