import SliceModel
import Testing

@Suite struct AdmissionTests {
  private let alice: UInt32 = 1000
  private let bob: UInt32 = 1001

  private func settings(_ assignments: String...) throws -> Settings {
    var settings = Settings()
    try settings.apply(assignments)
    return settings
  }

  private func admission(
    memory: String = "10G", disk: String? = nil, _ others: [Holding] = []
  ) throws -> Admission {
    let capacity = NodeCapacity(
      millicores: 4000, memoryBytes: try #require(ByteSize(memory)).bytes, pids: 1000,
      diskBytes: disk.flatMap { ByteSize($0)?.bytes })
    return Admission(capacity: capacity, others: others)
  }

  private func bounds(_ change: (inout OwnerBounds) -> Void) -> OwnerBounds {
    var bounds = OwnerBounds()
    change(&bounds)
    return bounds
  }

  private func refusal(_ body: () throws -> Void) -> SliceError? {
    let error = #expect(throws: SliceError.self) { try body() }
    #expect(error?.code == .refused)
    return error
  }

  // MARK: - Who is asked about

  @Test func whoIsPromisedNothingNeedsNoSum() throws {
    let capacity = NodeCapacity(
      millicores: 4000, memoryBytes: 10 << 30, pids: 1000, diskBytes: nil)
    let modest = try settings("cpu.weight=300", "memory.max=20G")
    #expect(!Admission.isNeeded(for: modest, of: capacity, within: nil))
    // It is no less admitted where it is asked after all, beside one who has everything.
    try admission([Holding(owner: bob, settings: try settings("memory.min=10G"))])
      .admit(modest, owner: alice, within: nil)
    #expect(Admission.isNeeded(for: try settings("memory.min=1M"), of: capacity, within: nil))
    #expect(Admission.isNeeded(for: modest, of: capacity, within: bounds { $0.slices = 1 }))
    let bounded = NodeCapacity(
      millicores: 4000, memoryBytes: 10 << 30, pids: 1000, diskBytes: 1 << 30)
    #expect(Admission.isNeeded(for: modest, of: bounded, within: nil))
  }

  // MARK: - What the node promises

  @Test func floorsAreNeverPromisedTwice() throws {
    let present = [
      Holding(owner: alice, settings: try settings("memory.min=6G")),
      Holding(owner: bob, settings: try settings("memory.min=3G")),
      Holding(owner: bob, settings: try settings("memory.max=100G")),
    ]
    let admission = try admission(present)
    try admission.admit(settings("memory.min=1G"), owner: alice, within: nil)
    let error = refusal {
      try admission.admit(settings("memory.min=1025M"), owner: alice, within: nil)
    }
    #expect(
      error?.message
        == "memory.min=1025M: this node can promise 10G in all, of which 1G is still left")
    #expect(error?.hint?.hasPrefix("memory.min=1G would fit") == true)
  }

  @Test func whatAChangeWillNeedCountsUntilItIsThrough() throws {
    let grows = Holding(
      owner: alice, settings: try settings("memory.min=1G"),
      pending: try settings("memory.min=8G"))
    let shrinks = Holding(
      owner: alice, settings: try settings("memory.min=8G"), pending: try settings("pids.max=5"))
    for holding in [grows, shrinks] {
      let admission = try admission([holding])
      try admission.admit(settings("memory.min=2G"), owner: bob, within: nil)
      _ = refusal {
        try admission.admit(settings("memory.min=3G"), owner: bob, within: nil)
      }
    }
  }

  @Test func aFullNodeSaysSo() throws {
    let admission = try admission([
      Holding(owner: alice, settings: try settings("memory.min=10G"))
    ])
    let error = refusal {
      try admission.admit(settings("memory.min=1"), owner: bob, within: nil)
    }
    #expect(error?.message.contains("of which 0 is left") == true, "\(String(describing: error))")
    #expect(error?.hint?.contains("destroy") == true)
    try admission.admit(settings("memory.min=0"), owner: bob, within: nil)
    try admission.admit(settings("memory.max=1G"), owner: bob, within: nil)
  }

  @Test func enormousFloorsDoNotOverflow() throws {
    let most = try settings("memory.min=4194304T")
    let admission = try admission(Array(repeating: Holding(owner: alice, settings: most), count: 9))
    _ = refusal { try admission.admit(most, owner: bob, within: nil) }
  }

  @Test func aDiskTotalNeedsAQuotaOfEverySlice() throws {
    let admission = try admission(
      disk: "100G", [Holding(owner: alice, settings: try settings("disk.max=60G"))])
    try admission.admit(settings("disk.max=40G"), owner: bob, within: nil)
    let unset = refusal { try admission.admit(settings(), owner: bob, within: nil) }
    #expect(
      unset?.message
        == "disk.max is not set: this node can promise 100G in all, of which 40G is still left")
    _ = refusal { try admission.admit(settings("disk.max=41G"), owner: bob, within: nil) }
  }

  // MARK: - What owners may have

  @Test func sumsOverTheOwnersSlicesAlone() throws {
    let admission = try admission([
      Holding(owner: alice, settings: try settings("memory.max=6G", "cpu.weight=1500")),
      Holding(owner: bob, settings: try settings("cpu.weight=10000")),
    ])
    let bounds = bounds {
      $0.sums = [.memoryMax: 8 << 30, .cpuWeight: 2000]
    }
    try admission.admit(
      settings("memory.max=2G", "cpu.weight=500"), owner: alice, within: bounds)
    let weight = refusal {
      try admission.admit(
        settings("memory.max=2G", "cpu.weight=501"), owner: alice, within: bounds)
    }
    #expect(
      weight?.message
        == "cpu.weight=501: your slices may have 2000 in all, of which 500 is still left")
    let memory = refusal {
      try admission.admit(settings("memory.max=3G"), owner: alice, within: bounds)
    }
    #expect(memory?.hint?.hasPrefix("memory.max=2G would fit") == true)
  }

  @Test func absentWeightsCountAHundredAndAbsentCeilingsAreTooMuch() throws {
    let admission = try admission(
      Array(repeating: Holding(owner: alice, settings: Settings()), count: 3))
    let weights = bounds { $0.sums = [.cpuWeight: 399] }
    let weight = refusal { try admission.admit(settings(), owner: alice, within: weights) }
    #expect(weight?.message.hasPrefix("cpu.weight=100, the default: ") == true)
    try admission.admit(settings("cpu.weight=99"), owner: alice, within: weights)
    let pids = bounds { $0.sums = [.pidsMax: 100] }
    let ceiling = refusal { try admission.admit(settings(), owner: bob, within: pids) }
    #expect(
      ceiling?.message
        == "pids.max is not set: your slices may have 100 in all, of which 100 is still left")
    // Others without a ceiling leave nothing.
    _ = refusal { try admission.admit(settings("pids.max=2"), owner: alice, within: pids) }
    try admission.admit(settings("pids.max=100"), owner: bob, within: pids)
  }

  @Test(arguments: Key.allCases.filter { $0.sum != nil }) func everySumIsABound(key: Key) throws {
    var wanted = Settings()
    let text =
      switch key.form {
      case .cpu: "2"
      case .bytes: "2M"
      default: "4096"
      }
    try wanted.set(key, to: text)
    let amount = try #require(wanted[key]?.amount)
    let admission = try admission(memory: "1T")
    var bounds = OwnerBounds()
    bounds.sums[key] = amount
    try admission.admit(wanted, owner: alice, within: bounds)
    bounds.sums[key] = amount - 1
    let error = refusal { try admission.admit(wanted, owner: alice, within: bounds) }
    #expect(error?.message.hasPrefix(key.rawValue + "=") == true)
  }

  @Test func slicesAreCounted() throws {
    let admission = try admission(
      Array(repeating: Holding(owner: alice, settings: Settings()), count: 2))
    let bounds = bounds { $0.slices = 2 }
    let error = refusal { try admission.admit(settings(), owner: alice, within: bounds) }
    #expect(error?.message == "slices: you may have 2, and have 2: none is left")
    try admission.admit(settings(), owner: bob, within: bounds)
    // A change makes no further slice.
    try admission.admit(settings(), owner: alice, within: bounds, insteadOf: settings())
  }

  @Test func onlyWhatGrowsIsJudgedInAChange() throws {
    let admission = try admission([
      Holding(owner: alice, settings: try settings("memory.max=20G", "memory.min=9G"))
    ])
    let bounds = bounds { $0.sums = [.memoryMax: 8 << 30, .pidsMax: 10] }
    let present = try settings("memory.max=4G", "memory.min=4G")
    try admission.admit(
      settings("memory.max=3G", "memory.min=3G"), owner: alice, within: bounds, insteadOf: present)
    _ = refusal {
      try admission.admit(
        settings("memory.max=5G", "memory.min=4G"), owner: alice, within: bounds,
        insteadOf: present)
    }
    // A bound is not shed by removing the ceiling.
    _ = refusal {
      try admission.admit(
        settings("memory.min=4G"), owner: alice, within: bounds, insteadOf: present)
    }
  }

  // MARK: - Images, grants, leases

  @Test func imagesMatchByNameOrBeginning() throws {
    let bounds = bounds { $0.images = ["minimal", "web-*"] }
    for name in ["minimal", "web-", "web-1"] { #expect(bounds.allows(image: name)) }
    for name in ["minimal2", "web", "host", ""] { #expect(!bounds.allows(image: name)) }
    #expect(OwnerBounds().allows(image: "host"))
    try bounds.admit(image: "sha256:00", names: ["other", "web-1"])
    let error = refusal { try bounds.admit(image: "host", names: ["host"]) }
    #expect(error?.hint == "you may use: minimal, web-*")
  }

  @Test func grantsAreWithheldUnlessGiven() throws {
    let admission = try admission()
    for text in ["raw.allow=icmp,udp:53", "grant.observe=true", "grant.net-admin=true"] {
      _ = refusal {
        try admission.admit(settings(text), owner: alice, within: OwnerBounds())
      }
      try admission.admit(settings(text), owner: alice, within: nil)
    }
    try admission.admit(settings("grant.nest=false"), owner: alice, within: OwnerBounds())
    let bounds = bounds { $0.grants = ["icmp", "udp", "observe"] }
    try admission.admit(
      settings("raw.allow=icmp,udp:33434-33534", "grant.observe=true"), owner: alice,
      within: bounds)
    let error = refusal {
      try admission.admit(settings("raw.allow=icmp6"), owner: alice, within: bounds)
    }
    #expect(error?.message == "'icmp6' is not granted to you")
    // What a slice has it keeps, and no more: another range is another grant.
    let present = try settings("raw.allow=udp:53")
    try admission.admit(
      settings("raw.allow=udp:53", "pids.max=9"), owner: alice, within: OwnerBounds(),
      insteadOf: present)
    _ = refusal {
      try admission.admit(
        settings("raw.allow=udp:1-65535"), owner: alice, within: OwnerBounds(),
        insteadOf: present)
    }
  }

  @Test func rulesGoFromTheUserToEverybody() {
    func rule(_ subject: String, _ slices: Int) -> NodePolicy.OwnerRule {
      NodePolicy.OwnerRule(subject: subject, bounds: bounds { $0.slices = slices })
    }
    var policy = NodePolicy()
    #expect(policy.bounds(user: "alice", groups: []) == OwnerBounds())
    policy.owners = [rule("*", 1), rule("@web", 2), rule("@staff", 3), rule("alice", 4)]
    #expect(policy.bounds(user: "alice", groups: ["web"]).slices == 4)
    #expect(policy.bounds(user: "bob", groups: ["staff", "web"]).slices == 2)
    #expect(policy.bounds(user: "bob", groups: ["staff"]).slices == 3)
    #expect(policy.bounds(user: "bob", groups: ["other"]).slices == 1)
    // A user who is named like a group is not in it.
    #expect(policy.bounds(user: "@web", groups: []).slices == 2)
  }

  @Test func defaultsFillWhatIsNotSaid() throws {
    var policy = NodePolicy()
    policy.defaults = try settings("pids.max=4096", "memory.max=1G", "lease=60d")
    let made = try policy.completed(settings("pids.max=64"), within: nil)
    #expect(made == (try settings("pids.max=64", "memory.max=1G", "lease=60d")))
    // Of a change, what is removed goes back to the default, and nothing else is touched.
    let changed = try policy.completed(settings("cpu.weight=5"), [.memoryMax], within: nil)
    #expect(changed == (try settings("cpu.weight=5", "memory.max=1G")))
    let error = #expect(throws: SliceError.self) {
      try policy.completed(settings("memory.min=2G"), within: nil)
    }
    #expect(error?.code == .usage)
    #expect(error?.hint?.contains("memory.max=1G") == true, "\(String(describing: error))")
  }

  @Test func aBoundLeaseIsGivenAndCapped() throws {
    var policy = NodePolicy()
    let bounds = bounds { $0.longestLease = TimeSpan("30d") }
    #expect(try policy.completed(settings(), within: bounds).lease == TimeSpan("30d"))
    #expect(try policy.completed(settings("lease=1d"), within: bounds).lease == TimeSpan("1d"))
    #expect(try policy.completed(settings(), within: nil).lease == nil)
    let error = refusal { _ = try policy.completed(settings("lease=31d"), within: bounds) }
    #expect(error?.message.contains("30d") == true)
    policy.defaults = try settings("lease=60d")
    #expect(try policy.completed(settings(), within: bounds).lease == TimeSpan("30d"))
    // A change of something else leaves it alone.
    #expect(try policy.completed(settings(), [.pidsMax], within: bounds).lease == nil)
  }

  // MARK: - Offers

  @Test func offersSayWhatIsLeft() throws {
    let admission = try admission(
      disk: "100G",
      [
        Holding(owner: alice, settings: try settings("memory.min=6G", "disk.max=10G")),
        Holding(owner: bob, settings: try settings("memory.min=1G", "memory.max=2G")),
      ])
    let bounds = bounds { $0.sums = [.memoryMin: 8 << 30, .memoryMax: 8 << 30] }
    func offer(_ key: Key, _ owner: UInt32) throws -> Admission.Offer {
      try #require(admission.offers(owner: owner, within: bounds).first { $0.key == key })
    }
    let floor = try offer(.memoryMin, bob)
    #expect(floor.promised == 7 << 30)
    #expect(floor.free == 3 << 30)
    #expect(floor.used == 1 << 30)
    #expect(floor.left == 3 << 30, "the bound leaves 7G, the node has 3G")
    #expect(try offer(.memoryMin, alice).left == 2 << 30)
    let ceiling = try offer(.memoryMax, bob)
    #expect(ceiling.promised == nil && ceiling.free == nil)
    #expect(ceiling.left == 6 << 30)
    // Without a limit nothing is left.
    #expect(try offer(.memoryMax, alice).used == nil)
    #expect(try offer(.memoryMax, alice).left == 0)
    #expect(try offer(.diskMax, bob).free == 0)
    #expect(try offer(.pidsMax, bob).node == 1000)
    #expect(try offer(.cpuWeight, bob).left == nil)
  }

  // MARK: - At random

  /// Creations and changes of two owners in any order: what was admitted never exceeds.
  @Test func noSequenceExceedsTheNodeOrABound() throws {
    var generator = SeededGenerator(seed: 7)
    let capacity: UInt64 = 64 << 20
    let bounds = bounds {
      $0.slices = 12
      $0.sums = [.memoryMin: 40 << 20, .cpuWeight: 900]
    }
    for _ in 0..<100 {
      var slices: [Holding] = []
      for _ in 0..<60 {
        let owner = Bool.random(using: &generator) ? alice : bob
        var wanted = Settings()
        try wanted.set(.memoryMin, to: "\(Int.random(in: 0...16, using: &generator))M")
        if Bool.random(using: &generator) {
          try wanted.set(.cpuWeight, to: "\(Int.random(in: 1...300, using: &generator))")
        }
        let changed = slices.indices.filter { slices[$0].owner == owner }
          .randomElement(using: &generator)
        let index = Bool.random(using: &generator) ? changed : nil
        var others = slices
        if let index { others.remove(at: index) }
        do throws(SliceError) {
          try Admission(
            capacity: NodeCapacity(millicores: 1000, memoryBytes: capacity, pids: 100),
            others: others
          ).admit(
            wanted, owner: owner, within: bounds, insteadOf: index.map { slices[$0].settings })
          if let index {
            slices[index].settings = wanted
          } else {
            slices.append(Holding(owner: owner, settings: wanted))
          }
        } catch {
          #expect(error.code == .refused)
        }
        func sum(_ key: Key, _ owner: UInt32?) -> UInt64 {
          slices.filter { owner == nil || $0.owner == owner }
            .reduce(0) { $0 + ($1.settings[key]?.amount ?? (key == .cpuWeight ? 100 : 0)) }
        }
        #expect(sum(.memoryMin, nil) <= capacity)
        for owner in [alice, bob] {
          #expect(sum(.memoryMin, owner) <= 40 << 20)
          #expect(sum(.cpuWeight, owner) <= 900)
          #expect(slices.count { $0.owner == owner } <= 12)
        }
      }
    }
  }
}
