import Testing

@testable import SliceRuntime

/// What goes on for long is told once.
@Suite struct PersistenceTests {
  private let long: UInt64 = 30

  @Test func isToldWhenItHasHeldForLong() {
    var state = Persistence()
    let told1 = state.update(true, now: 100, for: long)
    #expect(!told1)
    let told2 = state.update(true, now: 129, for: long)
    #expect(!told2)
    let told3 = state.update(true, now: 130, for: long)
    #expect(told3)
    let told4 = state.update(true, now: 500, for: long)
    #expect(!told4, "once")
  }

  @Test func anInterruptionBeginsAnew() {
    var state = Persistence()
    _ = state.update(true, now: 100, for: long)
    let told5 = state.update(false, now: 120, for: long)
    #expect(!told5)
    let told6 = state.update(true, now: 140, for: long)
    #expect(!told6)
    let told7 = state.update(true, now: 169, for: long)
    #expect(!told7)
    let told8 = state.update(true, now: 170, for: long)
    #expect(told8)
  }

  @Test func isToldAgainAfterItCeased() {
    var state = Persistence()
    let told9 = state.update(true, now: 1, for: 0)
    #expect(told9)
    _ = state.update(false, now: 2, for: 0)
    let told10 = state.update(true, now: 3, for: 0)
    #expect(told10)
  }

  @Test func wantOfMemoryIsToldOnceInAWhile() {
    var seen = SeenMemory()
    let second: UInt64 = 1_000_000_000
    let told11 = seen.tell(100 * second)
    #expect(told11)
    let told12 = seen.tell(105 * second)
    #expect(!told12)
    #expect(seen.isPending, "and not forgotten")
    let told13 = seen.tell(110 * second)
    #expect(told13)
    #expect(!seen.isPending)
  }
}
