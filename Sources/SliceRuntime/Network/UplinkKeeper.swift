import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// Keeps what slices send by the links to the world shared as their settings say (design.md,
/// "Bandwidth").
///
/// What a slice wishes is kept here; links come and go, and get their classes from that. So a link that
/// is not there is no failure of a slice's.
final class UplinkKeeper: Sendable {
  /// Nanoseconds between two looks at whether all is as it was left.
  private static let lookInterval: UInt64 = 10_000_000_000
  /// How many classes are made ahead before others get their turn.
  private static let step = 4

  private struct State {
    var links: [UplinkTree] = []
    /// Of the slices that run, by number.
    var wishes: [Int: TrafficWish] = [:]
    /// No number in use has ever been as high.
    var top = 0
    /// Whether any slice has ever asked for a share.
    var isAsked: Bool
    var leastWeight = TrafficWish.usualWeight
    /// When turns may be shortened again, on the monotonic clock.
    var nextShortening: UInt64 = 0
    /// What there is to tell of links.
    var news: [[String: String]] = []
  }

  private let control: TrafficControl
  private let network: NetworkControl
  private let classifier: Classifier?
  private let named: [String]
  private let total: UInt64?
  private let linkPrefix: String
  private let state: Mutex<State>
  private let alarm = Alarm()
  private let hasChanged = Atomic(false)

  /// - Parameters:
  ///   - named: the links to the world; none: those with a default route.
  ///   - total: what all slices may send by each of them, in bits a second; nil: what the link can.
  ///   - linkPrefix: of slices' own links.
  init(
    network: NetworkControl, classifier: Classifier?, named: [String], total: UInt64?,
    linkPrefix: String
  ) throws(SliceError) {
    control = try TrafficControl()
    self.network = network
    self.classifier = classifier
    self.named = named
    self.total = total
    self.linkPrefix = linkPrefix
    state = Mutex(State(isAsked: total != nil))
  }

  // MARK: - Slices

  /// Has a slice that is about to run, or runs, share the links as its settings say; links that are
  /// found later too. After a failure all is as before.
  func set(_ number: Int, _ settings: Settings) throws(SliceError) {
    guard number < TrafficControl.mostClasses else {
      throw SliceError(.failed, "slice number \(number): a link has no class for it")
    }
    try state.withLock { (state) throws(SliceError) in
      state.top = max(state.top, number + 1)
      let before = state.wishes.updateValue(TrafficWish(settings), forKey: number)
      do throws(SliceError) {
        if settings.asksForTraffic, !state.isAsked {
          state.isAsked = true
          try bringAll(&state)
        }
        try allow(state.wishes[number]?.weight ?? TrafficWish.usualWeight, &state)
        try settle(number, &state)
      } catch {
        state.wishes[number] = before
        // What could be set can be set back; where not, the slice is no worse off than before.
        try? settle(number, &state)
        throw error
      }
    }
    alarm.ring()
  }

  /// Forgets a slice. Its class stays for the next one of the number.
  func remove(_ number: Int) {
    state.withLock { $0.wishes[number] = nil }
  }

  /// Bounds what a slice receives by its own link, as its settings say; where the kernel can't, which
  /// `gaps` has told, it does not.
  func setInbound(_ settings: Settings, on link: String, index: UInt32) throws(SliceError) {
    let bound = settings.rate(.netInMax).map {
      TrafficShape.inbound(bitsPerSecond: $0.bitsPerSecond)
    }
    if bound != nil, Self.missingSupport != nil { return }
    try control.setInbound(bound, on: link, index: index)
  }

  private func settle(_ number: Int, _ state: inout State) throws(SliceError) {
    for place in state.links.indices {
      try onLink(place, &state) { (link, wishes) throws(SliceError) in
        try link.settle(number, wishes)
      }
    }
  }

  private func allow(_ weight: UInt64, _ state: inout State) throws(SliceError) {
    guard weight < state.leastWeight else { return }
    state.leastWeight = weight
    for place in state.links.indices {
      try onLink(place, &state) { (link, wishes) throws(SliceError) in
        try link.allow(weight: weight, wishes)
      }
    }
  }

  /// Does something with a link. That it is gone, or its tree, is no failure: the next look tells of it.
  private func onLink(
    _ place: Int, _ state: inout State,
    _ body: (inout UplinkTree, [Int: TrafficWish]) throws(SliceError) -> Void
  ) throws(SliceError) {
    do throws(SliceError) {
      try body(&state.links[place], state.wishes)
    } catch {
      let link = state.links[place]
      guard (try? control.root(of: link.name, index: link.index)) != .ours else { throw error }
      state.links[place].standing = .failed("it has lost its tree")
      hasChanged.store(true, ordering: .releasing)
    }
  }

  // MARK: - What holds

  /// What all slices can send together by each link, in bits a second; nil: nobody knows.
  var bitsPerSecond: UInt64? {
    state.withLock { $0.links.compactMap(\.shape.total).min() } ?? total
  }

  /// Why keys that are set can't be held now.
  func gaps(_ settings: Settings) -> [EnforcementGap] {
    let keys = settings.keys.filter { $0.enforcer == .shaping }
    guard settings.networkMode != .none, !keys.isEmpty else { return [] }
    let uplink = settings.asksForTraffic ? uplinkGap() : nil
    return keys.compactMap { key in
      if key == .netInMax {
        return Self.missingSupport.map { EnforcementGap(key, missing: $0, remedy: Self.modules) }
      }
      if let uplink { return EnforcementGap(key, missing: uplink.missing, remedy: uplink.remedy) }
      guard key == .netMin, bitsPerSecond == nil else { return nil }
      return EnforcementGap(
        key, missing: "how much the uplink carries is not known, so nothing of it can be promised",
        remedy: "set net in [total] of /etc/slices/node.toml")
    }
  }

  static let modules = "modprobe -a sch_htb sch_tbf"

  /// What the kernel lacks, found once by trying.
  private static let missingSupport: String? = {
    do throws(SliceError) {
      try TrafficControl.requireSupport()
      return nil
    } catch {
      return error.message
    }
  }()

  private func uplinkGap() -> (missing: String, remedy: String?)? {
    if classifier == nil {
      return ("there is no classifier to tell whose packets are whose", nil)
    }
    if let missing = Self.missingSupport { return (missing, Self.modules) }
    // It may have been mended, or marred, a moment ago.
    if problem() != nil || !isSound() { look() }
    return problem()
  }

  private func problem() -> (missing: String, remedy: String?)? {
    state.withLock { state in
      for link in state.links {
        switch link.standing {
        case .shaped, .unneeded: continue
        case .foreign(let kind):
          return (
            "\(link.name) has a qdisc of its own, \(kind)", "tc qdisc del dev \(link.name) root"
          )
        case .failed(let reason): return ("\(link.name): \(reason)", nil)
        }
      }
      // Those that are named may come.
      return state.links.isEmpty && named.isEmpty
        ? ("the host has no uplink", "ip route add default via GATEWAY") : nil
    }
  }

  // MARK: - Links

  /// Whether packets that come by this link reach slices which share its address.
  func isClassified(_ index: UInt32) -> Bool {
    func isThere() -> Bool {
      state.withLock { $0.links.contains { $0.index == index && $0.isClassified } }
    }
    if isThere() { return true }
    look()
    return isThere()
  }

  /// Begins to follow the links, for the life of this process.
  ///
  /// - Parameter notify: called on any thread with the details of what has happened to one.
  func start(_ notify: @escaping @Sendable ([String: String]) -> Void) throws(SliceError) {
    look()
    tell(notify)
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "uplink-watch", stackSize: 256 << 10) { [self] in follow() }
      try SystemThread.start(name: "uplink-keeper", stackSize: 256 << 10) { [self] in
        while true {
          alarm.sleep(nanoseconds: Self.lookInterval)
          if hasChanged.exchange(false, ordering: .acquiring) || !isSound() { look() }
          shortenTurns()
          while makeAhead() {}
          tell(notify)
        }
      }
    }
  }

  private func follow() {
    // Without it changes are seen a little later.
    guard let watch = try? LinkWatch() else { return }
    while let found = try? watch.wait(ignoring: linkPrefix, milliseconds: -1) {
      guard found else { continue }
      hasChanged.store(true, ordering: .releasing)
      alarm.ring()
    }
  }

  private func tell(_ notify: ([String: String]) -> Void) {
    let news = state.withLock { state in
      defer { state.news = [] }
      return state.news
    }
    news.forEach(notify)
  }

  /// Finds the links to the world and sees to it that each has what it needs. One that was found stays
  /// one while it is there.
  func look() {
    // What can't be listed is as it was.
    guard let names = named.isEmpty ? try? network.uplinks().map(\.name) : named else { return }
    state.withLock { state in
      state.links.removeAll { link in
        guard if_nametoindex(link.name) != link.index else { return false }
        state.news.append(["link": link.name, "state": "gone"])
        return true
      }
      for name in names where !state.links.contains(where: { $0.name == name }) {
        let index = if_nametoindex(name)
        guard index != 0 else { continue }
        state.links.append(
          UplinkTree(name: name, index: index, leastWeight: state.leastWeight, control: control))
        state.news.append(["link": name, "state": "found"])
      }
      for place in state.links.indices where !state.links[place].isClassified {
        classify(place, &state)
      }
      // Told of by each link's standing.
      try? bringAll(&state)
    }
  }

  /// Gives all links what they need now. Throws where one that is there doesn't take it.
  private func bringAll(_ state: inout State) throws(SliceError) {
    var failure: SliceError?
    for place in state.links.indices {
      var link = state.links[place]
      link.bring(total: total, isAsked: state.isAsked, state.wishes, top: state.top)
      if link.standing != state.links[place].standing {
        state.news.append(Self.news(of: link))
        if case .failed(let reason) = link.standing {
          failure = SliceError(.failed, "uplink \(link.name): \(reason)")
        }
      }
      state.links[place] = link
    }
    if let failure { throw failure }
  }

  private static func news(of link: UplinkTree) -> [String: String] {
    switch link.standing {
    case .shaped: ["link": link.name, "state": "shaped"]
    case .unneeded: ["link": link.name, "state": "unbounded"]
    case .foreign(let kind):
      ["link": link.name, "state": "unshaped", "reason": "it has the qdisc \(kind)"]
    case .failed(let reason): ["link": link.name, "state": "unshaped", "reason": reason]
    }
  }

  private func classify(_ place: Int, _ state: inout State) {
    guard let classifier else { return }
    let name = state.links[place].name
    do throws(SliceError) {
      state.links[place].isClassified = try network.attach(classifier, toUplink: name)
    } catch {
      state.news.append(["link": name, "state": "unclassified", "reason": error.message])
    }
  }

  /// Whether all is as it was left: somebody may have taken a tree or a filter away.
  private func isSound() -> Bool {
    state.withLock { state in
      var isSound = true
      for place in state.links.indices {
        let link = state.links[place]
        if link.standing == .shaped {
          isSound = isSound && (try? control.root(of: link.name, index: link.index)) == .ours
        }
        guard link.isClassified, (try? network.hasClassifier(onUplink: link.name)) != true else {
          continue
        }
        state.links[place].isClassified = false
        isSound = false
      }
      return isSound
    }
  }

  /// Takes turns back to what the weights need that are in use. All classes are set for it, and again
  /// once a small weight comes back: so it has to wait a hundred times as long as that takes, and who
  /// changes weights to and fro has a hundredth of a processor for it.
  private func shortenTurns() {
    state.withLock { state in
      let now = kernel_monotonic()
      guard state.leastWeight < TrafficWish.usualWeight, now >= state.nextShortening else { return }
      let least = state.wishes.values.reduce(TrafficWish.usualWeight) { min($0, $1.weight) }
      guard least > state.leastWeight else { return }
      state.leastWeight = least
      for place in state.links.indices {
        // Longer turns than are needed do no harm but that of being long.
        try? onLink(place, &state) { (link, wishes) throws(SliceError) in
          try link.allow(weight: least, wishes)
        }
      }
      state.nextShortening = now + 200 * (kernel_monotonic() - now)
    }
  }

  /// Makes some classes for slices to come. Returns whether there are more to make.
  private func makeAhead() -> Bool {
    state.withLock { state in
      var isMore = false
      for place in state.links.indices where state.links[place].standing == .shaped {
        let top = min(state.top + UplinkTree.ahead, TrafficControl.mostClasses)
        let next = min(top, state.links[place].ready + Self.step)
        guard state.links[place].ready < next else { continue }
        // The slice that needs one will say what is wrong.
        try? state.links[place].make(upTo: next, state.wishes)
        if state.links[place].ready == next, next < top { isMore = true }
      }
      return isMore
    }
  }
}

extension Settings {
  /// Whether a slice wants to be told apart from others on the links to the world.
  fileprivate var asksForTraffic: Bool {
    self[.netWeight] != nil || self[.netMin] != nil || self[.netMax] != nil
  }
}
