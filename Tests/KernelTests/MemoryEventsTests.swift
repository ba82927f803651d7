import SliceKernel
import Testing

/// Counts of the kernel's that are read while it counts.
@Suite struct MemoryEventsTests {
  @Test func whatIsReadLaterMayBeAhead() {
    var (all, own) = (MemoryEvents(), MemoryEvents())
    (all.outOfMemory, own.outOfMemory) = (5, 3)
    #expect(all.outOfMemory(beside: own) == 2)
    own.outOfMemory = 6
    #expect(all.outOfMemory(beside: own) == 0)
  }
}
