import SliceModel
import Testing

@Suite struct TrafficShapeTests {
  private func wish(
    _ weight: UInt64 = 100, min: UInt64? = nil, max: UInt64? = nil
  ) -> TrafficWish {
    var wish = TrafficWish()
    wish.weight = weight
    wish.minimum = min
    wish.maximum = max
    return wish
  }

  // MARK: - Turns

  /// A class sends a packet at each turn, whatever its quantum: with less than one, shares would be by
  /// packets.
  @Test(arguments: [1_000_000, 100_000_000, 499_999_999, 500_000_000, 10_000_000_000] as [UInt64])
  func aTurnIsWorthAPacket(total: UInt64) {
    for least in [1, 2, 7, 99, 100, 10_000] as [UInt64] {
      var shape = TrafficShape(total: total)
      _ = shape.allow(weight: least)
      let smallest = shape(wish(least))
      #expect(smallest.quantum >= smallest.splitBeyond ?? 65_536, "weight \(least)")
      #expect(shape(wish(least * 3)).quantum == smallest.quantum * 3)
    }
  }

  @Test func turnsAreNoLongerThanTheyMustBe() {
    var shape = TrafficShape(total: 100_000_000)
    let usual = shape.unit
    var changes: [Bool] = []
    for weight in [10_000, 100, 50, 49, 1, 700] as [UInt64] {
      changes.append(shape.allow(weight: weight))
    }
    #expect(changes == [false, false, true, false, true, true])
    #expect(shape.unit == usual)
  }

  @Test func aQueueHasTheNextTurnsReady() {
    let shape = TrafficShape(total: 100_000_000)
    for weight in [1, 100, 700, 10_000] as [UInt64] {
      let one = shape(wish(weight))
      #expect(one.queue >= 2 * one.quantum && one.queue <= 1 << 20)
    }
    #expect(shape(wish(700)).queue > 5 * shape(wish(100)).queue)
  }

  // MARK: - Rates

  @Test func aClassHasItsFloorAndItsCeiling() {
    let shape = TrafficShape(total: 100_000_000)
    let usual = shape(wish())
    #expect(usual.rate == 1 && usual.ceiling == 12_500_000)
    let bounded = shape(wish(min: 20_000_000, max: 40_000_000))
    #expect(bounded.rate == 2_500_000)
    #expect(bounded.ceiling == 5_100_000, "headers of 2 in 100 are not counted")
    #expect(shape(wish(max: 1_000_000_000)).ceiling == 12_500_000, "no more than all have")
    #expect(shape.all.rate == 12_500_000)
  }

  @Test func largePacketsAreSplitWhereTheyWouldTakeLong() {
    let fast = TrafficShape(total: 1_000_000_000)
    #expect(fast(wish()).splitBeyond == nil)
    #expect(fast(wish(max: 20_000_000)).splitBeyond == 1514)
    #expect(TrafficShape(total: 100_000_000)(wish()).splitBeyond == 1514)
    // Each must fit into its queue.
    for shape in [fast, TrafficShape(total: nil), TrafficShape(total: 64_000)] {
      for maximum in [nil, 1_000, 1_000_000, 600_000_000] as [UInt64?] {
        let one = shape(wish(max: maximum))
        let packet = one.splitBeyond ?? 65_536
        #expect(one.queue >= 4 * packet && one.burst >= packet)
      }
    }
  }

  // MARK: - Shares

  private func parts(_ wishes: [TrafficWish], of total: UInt64?) -> [Double] {
    TrafficShape(total: total).shares(wishes).map { ($0 * 10_000).rounded() / 10_000 }
  }

  @Test func sharesAreFloorsAndTheRestByWeight() {
    #expect(parts([wish(1), wish(2), wish(7)], of: 100_000_000) == [0.1, 0.2, 0.7])
    #expect(parts([wish(1), wish(2), wish(7)], of: nil) == [0.1, 0.2, 0.7])
    #expect(
      parts([wish(min: 40_000_000), wish(min: 20_000_000)], of: 100_000_000) == [0.6, 0.4])
    #expect(parts([], of: 100_000_000).isEmpty)
  }

  @Test func whatACeilingLeavesIsTheOthers() {
    #expect(parts([wish(max: 10_000_000), wish(), wish(200)], of: 100_000_000) == [0.1, 0.3, 0.6])
    #expect(parts([wish(max: 10_000_000), wish(max: 20_000_000)], of: 100_000_000) == [0.1, 0.2])
    // The first ceiling is met only because of the second.
    #expect(
      parts([wish(max: 35_000_000), wish(max: 10_000_000), wish()], of: 100_000_000)
        == [0.35, 0.1, 0.55])
  }
}
