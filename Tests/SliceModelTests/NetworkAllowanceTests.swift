import Testing

@testable import SliceModel

struct NetworkAllowanceTests {
  @Test(arguments: [
    "10.1.2.0/24", "10.1.2.3", "fd00:1::/32", "::/0", "53/udp", "65535/tcp",
  ])
  func itemsAreReadAndShownAsTheyWereWritten(text: String) throws {
    let allowance = try #require(NetworkAllowance(text))
    #expect(allowance.description == text)
  }

  @Test(arguments: ["", "53", "10.1.2.3/24", "0/udp", "53/sctp", "host", "10.1.2.0/24 "])
  func otherTextsAreNone(text: String) { #expect(NetworkAllowance(text) == nil) }

  @Test(arguments: [
    ("10.0.0.0/8", "10.1.2.0/24", true), ("10.1.2.0/24", "10.0.0.0/8", false),
    ("10.1.2.0/24", "10.1.2.0/24", true), ("10.1.2.0/25", "10.1.2.128/25", false),
    ("0.0.0.0/0", "192.0.2.1", true), ("::/0", "fd00::/8", true), ("::/0", "10.0.0.0/8", false),
    ("0.0.0.0/0", "fd00::/8", false), ("53/udp", "53/udp", true), ("53/udp", "53/tcp", false),
    ("0.0.0.0/0", "53/udp", false), ("53/udp", "10.0.0.1", false),
  ])
  func coversWhatLiesInIt(one: String, other: String, covers: Bool) throws {
    let (mine, theirs) = (
      try #require(NetworkAllowance(one)), try #require(NetworkAllowance(other))
    )
    #expect(mine.covers(theirs) == covers)
  }

  private func settings(_ text: String) throws -> Settings {
    var settings = Settings()
    try settings.set(.netAllow, to: text)
    return settings
  }

  @Test func aSliceHasSixtyFourAtMostAndEachIsChecked() throws {
    let items = (0..<64).map { "10.0.0.\($0)" }
    #expect(try settings(items.joined(separator: ",")).networkAllowances().count == 64)
    #expect(try settings("10.0.0.1,10.0.0.1").networkAllowances().count == 1)
    #expect(try Settings().networkAllowances().isEmpty)
    let most = #expect(throws: SliceError.self) {
      try settings((items + ["10.0.1.0"]).joined(separator: ",")).validate()
    }
    #expect(most?.message.contains("65 items") == true)
    let bad = #expect(throws: SliceError.self) { try settings("10.0.0.1,10.1.2.3/24").validate() }
    #expect(bad?.code == .usage && bad?.message == "net.allow: '10.1.2.3/24' is not valid")
    #expect(bad?.hint?.contains("without host bits") == true)
  }

  @Test func ownersAllowWhatTheirRuleNamesAndKeepWhatTheyHave() throws {
    var bounds = OwnerBounds()
    let none = #expect(throws: SliceError.self) {
      try bounds.admit(allowances: settings("10.1.0.1"), beyond: nil)
    }
    #expect(none?.code == .refused && none?.hint?.contains("administrator") == true)
    bounds.networks = [NetworkAllowance("10.1.0.0/16"), NetworkAllowance("53/udp")].compactMap(
      \.self)
    try bounds.admit(allowances: settings("10.1.0.1,10.1.2.0/24,53/udp"), beyond: nil)
    try bounds.admit(allowances: Settings(), beyond: nil)
    for text in ["10.2.0.1", "10.0.0.0/8", "53/tcp", "10.1.0.1,::1"] {
      let error = #expect(throws: SliceError.self) {
        try bounds.admit(allowances: settings(text), beyond: settings("10.1.0.9"))
      }
      #expect(error?.hint == "you may allow: 10.1.0.0/16, 53/udp")
    }
    try bounds.admit(allowances: settings("10.2.0.1"), beyond: settings("10.2.0.1,10.3.0.0/16"))
  }
}
