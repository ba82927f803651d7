import SliceModel
import Testing

@Suite struct ByteSizeTests {
  @Test(
    arguments: [
      ("0", 0), ("1", 1), ("1B", 1), ("1K", 1 << 10), ("1k", 1 << 10), ("1KiB", 1 << 10),
      ("256M", 256 << 20), ("256MiB", 256 << 20), ("1G", 1 << 30), ("1T", 1 << 40),
      ("1.5G", 3 << 29), ("0.5K", 512), ("007M", 7 << 20), ("8388607T", 8_388_607 << 40),
      ("9223372036854775807", Int64.max),
    ] as [(String, Int64)])
  func parses(text: String, bytes: Int64) {
    #expect(ByteSize(text)?.bytes == UInt64(bytes))
  }

  @Test(arguments: notNumbers + ["1P", "1KB", "1MB", "1%", "1s", "8388608T", "9007199254740992K"])
  func refuses(text: String) { #expect(ByteSize(text) == nil) }

  @Test(
    arguments: [
      (0, "0"), (1, "1"), (1023, "1023"), (1024, "1K"), (1536, "1536"), (3 << 29, "1536M"),
      (1 << 62, "4194304T"),
    ] as [(UInt64, String)])
  func prints(bytes: UInt64, text: String) {
    #expect(ByteSize(bytes: bytes).description == text)
  }

  @Test func everySizeComesBack() {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<2000 {
      let size = ByteSize(bytes: generator.number(below: 63))
      #expect(ByteSize(size.description) == size)
    }
  }

  @Test func isOrdered() { #expect(ByteSize(bytes: 1023) < ByteSize(bytes: 1024)) }
}

@Suite struct BitRateTests {
  @Test(
    arguments: [
      ("0", 0), ("8", 8), ("100M", 100_000_000), ("1K", 1000), ("1k", 1000),
      ("1.5G", 1_500_000_000),
      ("100Mbit/s", 100_000_000), ("100Mbit", 100_000_000), ("100mbps", 100_000_000), ("9bit/s", 9),
    ] as [(String, UInt64)])
  func parses(text: String, rate: UInt64) { #expect(BitRate(text)?.bitsPerSecond == rate) }

  @Test(
    arguments: notNumbers + [
      "1T", "1B", "bit", "bps", "1bit/sbit", "1MB/s", "9223372037G", "1b\u{131}t", "1\u{130}bit",
    ])
  func refuses(text: String) { #expect(BitRate(text) == nil) }

  @Test func everyRateComesBack() {
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<2000 {
      let rate = BitRate(bitsPerSecond: generator.number(below: 63))
      #expect(BitRate(rate.description) == rate)
    }
  }

  @Test func printsTheLargestUnit() {
    #expect(BitRate(bitsPerSecond: 2_000_000).description == "2M")
    #expect(BitRate(bitsPerSecond: 2_500_000).description == "2500K")
    #expect(BitRate(bitsPerSecond: 1) < BitRate(bitsPerSecond: 2))
  }
}

@Suite struct TimeSpanTests {
  @Test(
    arguments: [
      ("0", 0), ("30", 30_000), ("30s", 30_000), ("250ms", 250), ("2m", 120_000),
      ("1.5h", 5_400_000),
      ("7d", 604_800_000), ("1w", 604_800_000), ("0.5s", 500),
    ] as [(String, UInt64)])
  func parses(text: String, milliseconds: UInt64) {
    #expect(TimeSpan(text)?.milliseconds == milliseconds)
  }

  // "M" is refused: units of time are lower case, and months are no unit.
  @Test(arguments: notNumbers + ["1S", "1y", "1M", "1h30m", "9223372036854776s", "15250284453w"])
  func refuses(text: String) { #expect(TimeSpan(text) == nil) }

  @Test func everySpanComesBack() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<2000 {
      let span = TimeSpan(milliseconds: generator.number(below: 63))
      #expect(TimeSpan(span.description) == span)
    }
  }

  @Test(arguments: [(0, "0s"), (1, "1ms"), (1000, "1s"), (90_000, "90s"), (5_400_000, "90m")])
  func prints(milliseconds: UInt64, text: String) {
    #expect(TimeSpan(milliseconds: milliseconds).description == text)
  }

  @Test func secondsSaturate() {
    #expect(TimeSpan(seconds: 2).milliseconds == 2000)
    #expect(TimeSpan(seconds: .max).milliseconds == .max)
  }
}

@Suite struct CPUAmountTests {
  @Test(
    arguments: [
      ("150%", 1500), ("1.5", 1500), ("1500m", 1500), ("1", 1000), ("0.5%", 5), ("0", 0),
      ("12.5%", 125),
    ] as [(String, UInt64)])
  func parses(text: String, millicores: UInt64) {
    #expect(CPUAmount(text)?.millicores == millicores)
  }

  @Test(arguments: notNumbers + ["1%%", "%", "1c", "1 %", "9223372036854776"])
  func refuses(text: String) { #expect(CPUAmount(text) == nil) }

  @Test func everyAmountComesBack() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<2000 {
      let amount = CPUAmount(millicores: generator.number(below: 62))
      #expect(CPUAmount(amount.description) == amount)
    }
  }
}

@Suite struct ProcessorSetTests {
  @Test(arguments: [
    ("0", "0"), ("0-3,8", "0-3,8"), ("8,0-3", "0-3,8"), ("1,2,3", "1-3"), ("0-3,2-5", "0-5"),
    ("0-3,4", "0-4"), ("5-5", "5"), ("0-8191", "0-8191"), ("007", "7"), ("0-9,2-3", "0-9"),
  ])
  func parsesToTheShortestForm(text: String, canonical: String) {
    #expect(ProcessorSet(text)?.description == canonical)
  }

  @Test(arguments: [
    "", ",", "0,", ",0", "0,,1", "3-1", "1-2-3", "-", "-1", "1-", "+1", "0-+3", "8192", "0-8192",
    "a",
    " 0", "0 ", "0 - 3", "٣", "0-٣", "１", "0x1", "99999999999999999999", "1.5", "all", "0\n",
    "0\u{301}",
  ])
  func refuses(text: String) { #expect(ProcessorSet(text) == nil) }

  @Test func everySetComesBackWithTheSameMembers() throws {
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<300 {
      let members = Set((0..<12).map { _ in Int.random(in: 0..<40, using: &generator) })
      let text = members.shuffled(using: &generator).map(String.init).joined(separator: ",")
      let set = try #require(ProcessorSet(text))
      #expect(ProcessorSet(set.description) == set)
      #expect(Set(set.ranges.joined()) == members)
      for (left, right) in zip(set.ranges, set.ranges.dropFirst()) {
        #expect(left.upperBound + 1 < right.lowerBound)
      }
    }
  }

  @Test(arguments: [
    ("0-3", "0-3", true), ("1,3", "0-3", true), ("0-4", "0-3", false), ("0,8", "0-3,8", true),
    ("3-8", "0-3,8", false), ("5", "0-3,8", false),
  ])
  func knowsItsSubsets(part: String, whole: String, expected: Bool) throws {
    #expect(
      try #require(ProcessorSet(part)).isSubset(of: #require(ProcessorSet(whole))) == expected)
  }
}
