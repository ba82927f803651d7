import SliceKernel
import SliceModel

/// One link to the world, and the tree of classes on it: what has been set, so that a slice that comes
/// costs no more than what differs.
struct UplinkTree: Sendable {
  enum Standing: Sendable, Hashable {
    case shaped
    /// It queues nothing, nobody has said how much it carries, and no slice asks for anything.
    case unneeded
    /// An administrator's qdisc is there.
    case foreign(String)
    case failed(String)
  }

  let name: String
  let index: UInt32
  var standing = Standing.unneeded
  /// Whether the classifier's programs are there.
  var isClassified = false
  private(set) var shape: TrafficShape
  private let control: TrafficControl

  /// Classes of the numbers below are there.
  private(set) var ready = 0
  /// What those are that are not as a slice without wishes has it.
  private var special: [Int: TrafficClass] = [:]
  /// Numbers whose class a slice has had, beside those below `inherited`: a supervisor before may have
  /// given them to some.
  private var used: Set<Int> = []
  private var inherited = 0

  /// Classes that are ready beyond the highest number in use. To make one the kernel walks over all that
  /// are there, to change one it doesn't: so they are made ahead and never removed.
  static let ahead = 64
  /// A class below this rate, in bytes a second, may owe the time of a packet for long: it is made anew
  /// when its rate rises.
  private static let slow: UInt64 = 16_000

  init(name: String, index: UInt32, leastWeight: UInt64, control: TrafficControl) {
    self.name = name
    self.index = index
    self.control = control
    shape = TrafficShape()
    _ = shape.allow(weight: leastWeight)
  }

  /// Gives the link what it needs now; `standing` says how it is then.
  ///
  /// - Parameters:
  ///   - total: what all slices may send, in bits a second; nil: what the link can.
  ///   - isAsked: whether some slice has ever asked for a share.
  ///   - top: no number in use is as high.
  mutating func bring(
    total: UInt64?, isAsked: Bool, _ wishes: [Int: TrafficWish], top: Int
  ) {
    do throws(SliceError) {
      let root = try control.root(of: name, index: index)
      let known = [total, control.speed(of: name)].compactMap(\.self).min()
      let isSame = shape.total == known && standing == .shaped
      shape.total = known
      switch root {
      case .foreign(let kind): return standing = .foreign(kind)
      case .none where !isAsked && known == nil: return standing = .unneeded
      case .ours where isSame: return
      case .ours: if standing != .shaped { inherited = top + Self.ahead }
      case .none, .usual:
        try control.makeTree(on: name, index: index)
        (ready, inherited, used) = (0, 0, [])
      }
      try setAll(wishes, upTo: max(top + Self.ahead, ready))
      standing = .shaped
    } catch {
      // A link that goes meanwhile is told of by the next look.
      standing = .failed(error.message)
    }
  }

  /// Has this weight told apart from others.
  mutating func allow(weight: UInt64, _ wishes: [Int: TrafficWish]) throws(SliceError) {
    guard shape.allow(weight: weight), standing == .shaped else { return }
    try setAll(wishes, upTo: ready)
  }

  /// Sets the class of all slices, and those of the numbers below `top`.
  private mutating func setAll(_ wishes: [Int: TrafficWish], upTo top: Int) throws(SliceError) {
    try control.setAll(shape.all, on: name, index: index)
    (ready, special) = (0, [:])
    try make(upTo: top, wishes)
  }

  /// Makes the classes that are missing below `top`.
  mutating func make(upTo top: Int, _ wishes: [Int: TrafficWish]) throws(SliceError) {
    let limit = min(top, TrafficControl.mostClasses)
    guard ready < limit else { return }
    let usual = shape(TrafficWish())
    let changes = (ready..<limit).map { number in
      TrafficControl.Change(number: number, to: wishes[number].map { shape($0) } ?? usual)
    }
    try control.set(changes, on: name, index: index)
    for change in changes {
      if change.to != usual { special[change.number] = change.to }
      if wishes[change.number] != nil { used.insert(change.number) }
    }
    ready = limit
  }

  /// Makes the class of a number what it should be.
  mutating func settle(_ number: Int, _ wishes: [Int: TrafficWish]) throws(SliceError) {
    guard standing == .shaped else { return }
    guard number < ready else { return try make(upTo: number + 1, wishes) }
    let usual = shape(TrafficWish())
    let before = special[number] ?? usual
    let after = wishes[number].map { shape($0) } ?? usual
    let wasUsed = number < inherited || !used.insert(number).inserted
    guard before != after else { return }
    let isFresh = wasUsed && before.rate < Self.slow && after.rate > before.rate
    try control.set(
      [TrafficControl.Change(number: number, to: after, isFresh: isFresh)], on: name, index: index)
    special[number] = after == usual ? nil : after
  }
}
