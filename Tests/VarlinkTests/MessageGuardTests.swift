import Testing

@testable import Varlink

@Suite struct MessageGuardTests {
  let messageGuard = MessageGuard(maximumDepth: 3, maximumValues: 6)

  @Test(arguments: [
    "{}", #"{"a":"[[[[[[[["}"#, #"{"a":"\"[[[[[[,,,,,,,"}"#, #"{"a":[[]]}"#, #"{"a\\":[[]]}"#,
  ])
  func accepts(text: String) throws {
    try messageGuard.check(Array(text.utf8))
  }

  @Test(arguments: [
    "", " {}", "[]", "\u{FEFF}{}", #"{"a":[[[]]]}"#, #"{"a\\":[[[]]]}"#, #"{"a":[1,2,3,4,5]}"#,
  ])
  func refuses(text: String) {
    #expect(throws: ConnectionFailure.self) { try messageGuard.check(Array(text.utf8)) }
  }

  @Test func refusesWhatIsNotUTF8() {
    #expect(throws: ConnectionFailure.self) { try messageGuard.check([0x7B, 0xC0, 0x80, 0x7D]) }
  }
}
