import Testing

@testable import SliceRuntime

@Suite struct ParallelTests {
  @Test(arguments: [0, 1, 99, 100, 250, 1000, 100_000]) func partsCoverAllOnce(count: Int) {
    let parts = Parallel.parts(of: count, each: 100, atMost: 4)
    #expect((1...4).contains(parts.count))
    #expect(parts.flatMap(Array.init) == Array(0..<count))
    if count >= 200 { #expect(parts.allSatisfy { $0.count >= 100 }) }
  }

  @Test func resultsAreInOrder() {
    let parts = Parallel.parts(of: 1000, each: 10, atMost: 8)
    for _ in 0..<50 {
      #expect(
        Parallel.map(parts) { $0.map { $0 * 2 } }.flatMap(\.self) == (0..<1000).map { $0 * 2 })
    }
    #expect(Parallel.map([0..<0]) { $0.count } == [0])
  }
}
