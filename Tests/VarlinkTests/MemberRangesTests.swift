import Testing

@testable import Varlink

@Suite struct MemberRangesTests {
  @Test(arguments: [
    (#"{"a":1}"#, "1"), (#" { "b" : [1,{"a":2}] , "a" : {"x":"}"} } "#, #" {"x":"}"} "#),
    (#"{"a":"\"\\"}"#, #""\"\\""#), (#"{"a":[[],{}],"error":null}"#, "[[],{}]"),
  ])
  func findsAMember(text: String, value: String) throws {
    let bytes = Array(text.utf8)
    let range = try #require(MemberRanges(bytes)?["a"])
    #expect(String(decoding: bytes[range], as: UTF8.self) == value)
  }

  @Test func knowsNoOthers() { #expect(MemberRanges(Array(#"{"b":{"a":1}}"#.utf8))?["a"] == nil) }

  @Test(arguments: [
    "", "1", "[]", "{", #"{"a"}"#, #"{"a":1"#, #"{"a":"x}"#, #"{"a":1}}"#, #"{"a":1} x"#,
    #"{a:1}"#, #"{"a":1,}"#, #"{"\u0065rror":1}"#, #"{"a\"#, #"{"a":"\"#,
  ])
  func refuses(text: String) { #expect(MemberRanges(Array(text.utf8)) == nil) }
}
