/// What a slice asks for of the links to the world.
public struct TrafficWish: Sendable, Hashable {
  public var weight: UInt64 = Self.usualWeight
  /// Bits a second; nil: no floor.
  public var minimum: UInt64?
  /// Bits a second; nil: no ceiling of its own.
  public var maximum: UInt64?

  public static let usualWeight: UInt64 = 100

  public init() {}

  public init(_ settings: Settings) {
    weight = settings.count(.netWeight) ?? Self.usualWeight
    minimum = settings.rate(.netMin)?.bitsPerSecond
    maximum = settings.rate(.netMax)?.bitsPerSecond
  }
}

/// What the kernel is told of one class (tc-htb(8)) and its queue. Rates are bytes a second.
public struct TrafficClass: Sendable, Hashable {
  public var rate, ceiling: UInt64
  /// Bytes that may be sent at once beyond rate and ceiling.
  public var burst, ceilingBurst: UInt64
  /// Bytes that it sends at its turn of what all share.
  public var quantum: UInt64
  /// Bytes that wait at most; 0 where there is no queue.
  public var queue: UInt64
  /// A larger packet, which hardware or the next host would have split, is split before it is queued;
  /// nil: packets are queued as they come.
  public var splitBeyond: UInt64?
}

/// How wishes become classes on one link. Pure arithmetic; design.md, "Bandwidth", says why so.
public struct TrafficShape: Sendable, Hashable {
  /// Of all slices together, in bits a second; nil: not known.
  public var total: UInt64?
  /// The smallest weight that is to be told apart.
  public private(set) var leastWeight: UInt64 = TrafficWish.usualWeight

  public init(total: UInt64? = nil) { self.total = total }

  /// From this rate on packets are queued as large as slices send them, because splitting them would
  /// take more of a processor than there is. Bits a second.
  static let splitBelow: UInt64 = 500_000_000
  /// An Ethernet frame of the usual 1,500 bytes.
  static let frame: UInt64 = 1514
  /// What Linux puts together at most, 64 KiB, with the headers that are counted for it (sch_api.c).
  static let largePacket: UInt64 = 68 << 10
  /// Stands for a rate that nothing reaches, in bytes a second.
  static let unbounded: UInt64 = 125_000_000_000
  /// In milliseconds: what a bucket holds, so that a processor that comes late loses nothing, and what
  /// may wait.
  static let burstTime: UInt64 = 20
  static let queueTime: UInt64 = 100
  /// Bytes: a queue that a stream of TCP can live with.
  static let leastQueue: UInt64 = 32 << 10
  /// A ceiling is what a service gets: of a full frame's headers two parts in a hundred are not counted,
  /// so that a stream carries 97.5 % of it and the wire 102 %.
  static let headers: (UInt64, UInt64) = (102, 100)

  private func isSplit(_ bits: UInt64?) -> Bool {
    min(bits ?? .max, total ?? .max) < Self.splitBelow
  }

  private func packet(split: Bool) -> UInt64 { split ? Self.frame : Self.largePacket }

  /// Bytes of a quantum for each of a weight. A turn must be worth a packet at least: a class sends
  /// one at each turn whatever its quantum, and shares would be by packets. In powers of two, so that few
  /// changes of weights have all set anew.
  public var unit: UInt64 {
    let packet = packet(split: isSplit(nil))
    var unit = (packet + TrafficWish.usualWeight - 1) / TrafficWish.usualWeight
    while unit * leastWeight < packet { unit *= 2 }
    return unit
  }

  /// Has weights from this one on told apart. True: all classes must be set anew.
  public mutating func allow(weight: UInt64) -> Bool {
    let before = unit
    leastWeight = min(TrafficWish.usualWeight, max(weight, 1))
    return unit != before
  }

  /// The class that holds all others.
  public var all: TrafficClass {
    let rate = total.map { max(1, $0 / 8) } ?? Self.unbounded
    let burst = Self.burst(rate, packet(split: isSplit(nil)))
    return TrafficClass(
      rate: rate, ceiling: rate, burst: burst, ceilingBurst: burst, quantum: 0, queue: 0,
      splitBeyond: nil)
  }

  public func callAsFunction(_ wish: TrafficWish) -> TrafficClass {
    let packet = packet(split: isSplit(wish.maximum))
    let most = all.rate
    let own = wish.maximum.map { $0 / 8 * Self.headers.0 / Self.headers.1 }
    let ceiling = max(1, min(own ?? most, most))
    // Nothing is guaranteed: the least that there is.
    let rate = max(1, min((wish.minimum ?? 0) / 8, ceiling))
    let quantum = wish.weight * unit
    return TrafficClass(
      rate: rate, ceiling: ceiling, burst: Self.burst(rate, packet),
      ceilingBurst: Self.burst(ceiling, packet), quantum: min(quantum, UInt64(Int32.max)),
      queue: Self.queue(ceiling, packet, quantum), splitBeyond: packet == Self.frame ? packet : nil)
  }

  /// What a slice receives.
  public static func inbound(bitsPerSecond: UInt64) -> TrafficClass {
    let rate = max(1, bitsPerSecond / 8 * headers.0 / headers.1)
    let burst = burst(rate, frame)
    return TrafficClass(
      rate: rate, ceiling: rate, burst: burst, ceilingBurst: burst, quantum: 0,
      queue: queue(rate, bitsPerSecond < splitBelow ? frame : largePacket, 0), splitBeyond: burst)
  }

  private static func burst(_ rate: UInt64, _ packet: UInt64) -> UInt64 {
    max(2 * packet, rate / 1000 * burstTime)
  }

  /// What may wait: `queueTime` of the ceiling, and no more than some turns, so that all classes wait for
  /// about as long where the link is short: a heavy one needs more, or it runs dry whenever its sender
  /// has to wait for a processor, and others take its turns. The kernel's memory bounds it too, of which
  /// small packets take ten times what is counted here.
  private static func queue(_ ceiling: UInt64, _ packet: UInt64, _ quantum: UInt64) -> UInt64 {
    let isSplit = packet == frame
    let turns = isSplit ? max(128 << 10, 64 * quantum) : 1 << 20
    let least = isSplit ? leastQueue : 4 * packet
    let bytes = max(least, min(ceiling / 1000 * queueTime, turns, 1 << 20))
    return max(bytes, min(2 * quantum, 4 << 20))
  }
}

extension TrafficShape {
  /// Parts of the total that slices get when all of them send as much as they can: floors first, the
  /// rest by weight, and what a ceiling leaves to others. Where the total isn't known: parts by weight.
  ///
  /// - Returns: in the order of `wishes`.
  public func shares(_ wishes: [TrafficWish]) -> [Double] {
    let weights = wishes.map { Double($0.weight) }
    guard let total, total > 0 else {
      let sum = weights.reduce(0, +)
      return weights.map { sum > 0 ? $0 / sum : 0 }
    }
    let whole = Double(total)
    let floors = wishes.map { Double(min($0.minimum ?? 0, total)) / whole }
    let ceilings = wishes.map { Double(min($0.maximum ?? total, total)) / whole }
    // Each round finds those whose ceiling is too low for their part; there are few different ones.
    var isHeld = [Bool](repeating: false, count: wishes.count)
    while true {
      var rest = 1.0
      var sum = 0.0
      for index in wishes.indices {
        rest -= isHeld[index] ? ceilings[index] : floors[index]
        if !isHeld[index] { sum += weights[index] }
      }
      let part = sum > 0 ? max(0, rest) / sum : 0
      let above = wishes.indices.filter {
        !isHeld[$0] && floors[$0] + part * weights[$0] > ceilings[$0]
      }
      guard !above.isEmpty else {
        return wishes.indices.map {
          isHeld[$0] ? ceilings[$0] : floors[$0] + part * weights[$0]
        }
      }
      for index in above { isHeld[index] = true }
    }
  }
}
