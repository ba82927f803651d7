import SliceModel
import Testing

@Suite struct LeaseTests {
  private let second: UInt64 = 1_000_000_000
  private let start: UInt64 = 1_700_000_000_000_000_000

  private func lease(_ length: String) throws -> Lease {
    Lease(try #require(TimeSpan(length)), from: start)
  }

  private func terms(_ grace: String, _ warning: String) throws -> LeaseTerms {
    var terms = LeaseTerms()
    terms.grace = try #require(TimeSpan(grace))
    terms.warning = try #require(TimeSpan(warning))
    return terms
  }

  @Test func warnsThenEndsThenIsRemoved() throws {
    var lease = try lease("100s")
    let terms = try terms("50s", "5s")
    #expect(lease.due(at: start + 94 * second, terms) == nil)
    #expect(lease.next(terms).at == start + 95 * second)
    #expect(lease.due(at: start + 95 * second, terms) == .warn)
    lease.warned = true
    #expect(lease.due(at: start + 99 * second, terms) == nil)
    #expect(!lease.isOver(at: start + 99 * second))
    #expect(lease.due(at: start + 100 * second, terms) == .end)
    #expect(lease.isOver(at: start + 100 * second))
    lease.endedAt = start + 103 * second
    #expect(lease.due(at: start + 152 * second, terms) == nil)
    #expect(lease.due(at: start + 153 * second, terms) == .remove)
  }

  @Test func theWarningIsATenthAtMost() throws {
    #expect(try lease("100s").next(terms("1s", "1d")).at == start + 90 * second)
    #expect(try lease("30d").next(LeaseTerms()).at == start + 29 * 86_400 * second)
    let none = try lease("100s").next(terms("1s", "0s"))
    #expect(none.step == .end && none.at == start + 100 * second)
  }

  @Test func aMissedWarningIsNotGivenAfterTheEnd() throws {
    #expect(try lease("100s").due(at: start + 200 * second, LeaseTerms()) == .end)
  }

  /// However long the host was off: the owner gets the whole grace.
  @Test func graceCountsFromTheStop() throws {
    var lease = try lease("1h")
    let late = start + 86_400 * 365 * second
    #expect(lease.due(at: late, LeaseTerms()) == .end)
    lease.endedAt = late
    #expect(lease.due(at: late + second, LeaseTerms()) == nil)
    #expect(lease.next(LeaseTerms()).at == late + 7 * 86_400 * second)
  }

  @Test func theLongestLeaseDoesNotOverflow() throws {
    let lease = Lease(TimeSpan(milliseconds: .max), from: start)
    #expect(lease.endsAt == .max)
    #expect(lease.due(at: start, LeaseTerms()) == nil)
    var ended = lease
    ended.endedAt = .max
    #expect(ended.next(LeaseTerms()).at == .max)
  }
}
