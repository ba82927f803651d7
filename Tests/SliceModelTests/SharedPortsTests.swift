import SliceModel
import Testing

struct SharedPortsTests {
  // MARK: - Ranges

  @Test(arguments: [
    ("443", "443"), ("20000-20099,443", "443,20000-20099"), ("8,7", "7-8"), ("1-2,4-5,3", "1-5"),
    ("65535,1", "1,65535"),
  ])
  func rangesAreShownInOrder(text: String, shown: String) throws {
    let ports = try #require(PortRanges(text))
    #expect(ports.description == shown)
    #expect(PortRanges(shown) == ports)
  }

  @Test(arguments: [
    "", "0", "65536", "2-1", "1-", "-1", "1--2", "1,,2", "1,1", "1-5,5-9", "a", " 1", "+1", "1-2-3",
  ])
  func whatIsNoListIsRefused(text: String) { #expect(PortRanges(text) == nil) }

  @Test func theNumberOfRangesIsBounded() {
    let most = (1...PortRanges.mostRanges).map { "\($0 * 2)" }
    #expect(PortRanges(most.joined(separator: ",")) != nil)
    #expect(PortRanges((most + ["1"]).joined(separator: ",")) == nil)
  }

  @Test func rangesCompare() throws {
    let ports = try #require(PortRanges("10-19,30,40-49"))
    #expect(ports.count == 21)
    #expect(ports.hull == 10...49)
    #expect(ports.gaps?.description == "20-29,31-39")
    #expect(try #require(PortRanges("5")).gaps == nil)
    #expect(ports.contains(30) && !ports.contains(29))
    #expect(ports.firstCommon(with: PortRanges(20...29)) == nil)
    #expect(ports.firstCommon(with: PortRanges(15...45)) == 15)
    #expect(ports.firstBeyond(10...39) == 40)
    #expect(ports.firstBeyond(10...49) == nil)
  }

  // MARK: - Who may have which

  @Test func ownersHaveTheSharedRangeAndOthersMore() throws {
    let policy = SharedPorts()
    let most = try #require(PortRanges("20000-\(20_000 + SharedPorts.most - 1)"))
    #expect(throws: Never.self) { try policy.admit(most, within: OwnerBounds()) }
    let more = try #require(PortRanges("20000-\(20_000 + SharedPorts.most)"))
    #expect(throws: SliceError.self) { try policy.admit(more, within: OwnerBounds()) }
    #expect(throws: Never.self) { try policy.admit(more, within: nil) }
    let low = try #require(PortRanges("443,20000"))
    #expect(throws: Never.self) { try policy.admit(low, within: nil) }
    let refused = #expect(throws: SliceError.self) { try policy.admit(low, within: OwnerBounds()) }
    #expect(refused?.code == .refused && refused?.message.contains("443") == true)
  }

  @Test func portsThatOthersGetByChanceAreForNoSlice() throws {
    for (range, chance) in [(20_000...29_999, "30000"), (50_000...59_999, "1024")] {
      let policy = SharedPorts(range: UInt16(range.lowerBound)...UInt16(range.upperBound))
      #expect(!policy.translated.overlaps(Range(policy.range)))
      let ports = try #require(PortRanges(chance))
      #expect(throws: SliceError.self) { try policy.admit(ports, within: nil) }
    }
  }

  @Test(arguments: ["1023-2000", "1024-65535", "5000-60000", "1-2,5-6", "x", ""])
  func aPolicyLeavesEnoughForOthers(text: String) { #expect(SharedPorts(text) == nil) }

  @Test func whoAsksForNoneGetsTheFirstFreeBlock() throws {
    let policy = SharedPorts(range: 20_000...20_255)
    let first = try policy.freeBlock(beside: []) { _ in true }
    #expect(first.description == "20000-20063")
    let taken = [first, PortRanges(20_100...20_100)]
    #expect(try policy.freeBlock(beside: taken) { _ in true }.description == "20128-20191")
    #expect(
      try policy.freeBlock(beside: taken) { !$0.contains(20_130) }.description == "20192-20255")
    let full = #expect(throws: SliceError.self) { try policy.freeBlock(beside: []) { _ in false } }
    #expect(full?.hint?.contains("shared-ports") == true)
    let end = SharedPorts(range: 65_472...65_535)
    #expect(try end.freeBlock(beside: []) { _ in true }.description == "65472-65535")
    #expect(throws: SliceError.self) { try end.freeBlock(beside: taken) { _ in false } }
  }

  // MARK: - Settings

  @Test func portsNeedTheSharedMode() throws {
    var settings = Settings()
    try settings.set(.netPorts, to: "20000-20099")
    #expect(throws: SliceError.self) { try settings.validate() }
    try settings.set(.netMode, to: "shared")
    #expect(throws: Never.self) { try settings.validate() }
    #expect(settings.ports?.count == 100)
  }
}
