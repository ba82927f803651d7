import FoundationEssentials
import SliceModel
import Testing

@Suite struct JSONValueTests {
  static let documents: [JSONValue] = [
    .null, .bool(true), .bool(false), .integer(0), .integer(1), .integer(.min), .integer(.max),
    .number(1.5), .number(-1e300), .string(""), .string("é\u{0}\n\"\\\u{1F44D}"), .array([]),
    .object([:]), .array([.null, .array([.integer(1)]), .object(["a": .null])]),
    .object(["name": .string("web"), "pid": .null, "cpu": .object(["share": .number(0.25)])]),
  ]

  @Test(arguments: documents) func comesBack(document: JSONValue) throws {
    let data = try JSONEncoder().encode([document])
    #expect(try JSONDecoder().decode([JSONValue].self, from: data) == [document])
  }

  @Test func aKeyWithoutAValueIsNull() throws {
    let data = try JSONEncoder().encode(JSONValue.object(["pid": JSONValue(nil as Int?)]))
    #expect(String(decoding: data, as: UTF8.self) == #"{"pid":null}"#)
  }

  @Test func optionalsBecomeValues() {
    #expect(JSONValue("a" as String?) == .string("a"))
    #expect(JSONValue(nil as String?) == .null)
    #expect(JSONValue(true as Bool?) == .bool(true))
    #expect(JSONValue(1.5 as Double?) == .number(1.5))
    #expect(JSONValue(7 as UInt8?) == .integer(7))
    #expect(JSONValue(UInt64.max as UInt64?) == .integer(.max))
  }

  @Test func accessorsDoNotConvertBetweenKinds() {
    #expect(JSONValue.integer(1).bool == nil)
    #expect(JSONValue.bool(true).integer == nil)
    #expect(JSONValue.string("1").integer == nil)
    #expect(JSONValue.number(2).integer == 2)
    #expect(JSONValue.number(2.5).integer == nil)
    #expect(JSONValue.number(1e300).integer == nil)
    #expect(JSONValue.integer(2).number == 2)
    #expect(JSONValue.object(["a": .integer(1)])["a"] == .integer(1))
    #expect(JSONValue.object([:])["a"] == .null)
    #expect(JSONValue.array([.null])["a"] == .null)
    #expect(JSONValue.array([.null]).array == [.null])
  }

  @Test func refusesWhatJSONCannotHold() {
    #expect(throws: (any Error).self) { try JSONEncoder().encode([JSONValue.number(.nan)]) }
  }
}
