import FoundationEssentials
import SliceModel
import Testing

@Suite struct JSONParserTests {
  @Test(arguments: JSONValueTests.documents) func comesBack(document: JSONValue) throws {
    #expect(try JSONValue(parsing: document.utf8()) == document)
    #expect(try JSONValue(parsing: document.utf8(sorted: false)) == document)
    #expect(try JSONValue(parsing: document.utf8(pretty: true)) == document)
  }

  @Test(
    arguments: [
      ("0", .integer(0)), ("-0", .integer(0)), (" 12\n", .integer(12)), ("0.5", .number(0.5)),
      ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1e3", .number(1000)),
      ("-1.25E-2", .number(-0.0125)), ("0.1", .number(0.1)), ("123.456", .number(123.456)),
      (#""\u0041\u00e9\ud83d\udc4d\/\b""#, .string("Aé\u{1F44D}/\u{8}")),
      ("{\"a\":1,\"a\":2}", .object(["a": .integer(2)])), ("[ ]", .array([])),
      ("{\t\"a\" : [ true , null ] }", .object(["a": .array([.bool(true), .null])])),
    ] as [(String, JSONValue)])
  func reads(text: String, value: JSONValue) throws {
    #expect(try JSONValue(parsing: text.utf8) == value)
  }

  @Test(arguments: [
    "", " ", "nul", "nulll", "truefalse", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "NaN",
    "1e999", "\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
    "\"\\ud800\\u0041\"", "\"a\nb\"", "[", "[1", "[1,", "[1,]", "[1 2]", "]", "{", "{a:1}",
    "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{1:2}", "1 2", "\u{FEFF}1", "'a'",
    "[1]]", "/**/1",
  ])
  func refuses(text: String) {
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: text.utf8) }
  }

  @Test func refusesWhatIsNotUTF8() {
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: [0x22, 0xC3, 0x22]) }
    #expect(throws: JSONSyntaxError.self) {
      try JSONValue(parsing: [0x22, 0xED, 0xA0, 0x80, 0x22])
    }
  }

  @Test func depthIsBounded() {
    let deepest = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
    #expect(throws: Never.self) { try JSONValue(parsing: deepest.utf8) }
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "[\(deepest)]".utf8) }
    let bomb = String(repeating: "{\"a\":[", count: 1 << 18)
    #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: bomb.utf8) }
  }

  @Test func errorsTellTheirPlace() {
    let error = #expect(throws: JSONSyntaxError.self) { try JSONValue(parsing: "[1,x]".utf8) }
    #expect(error?.description == "no value at byte 3")
  }

  /// Texts with a few bytes changed: whatever comes, it says the same as the other reader, which
  /// shares no code with this one.
  @Test func agreesWithAnotherReader() throws {
    var generator = SeededGenerator(seed: 20_021_028)
    let sources =
      JSONValueTests.documents.map { JSONValue.array([$0]).utf8() }
      + [Array(#"{"a":[1,-2.5e3,"\u00e9\n",{"b":null}],"c":true}"#.utf8)]
    let alphabet =
      Array("{}[]\",:\\0123456789-+.eEtrufalsn \t\n".utf8) + [0, 0x1F, 0x80, 0xC3, 0xFF]
    for _ in 0..<20_000 {
      var text = sources.randomElement(using: &generator)!
      for _ in 0...Int.random(in: 0...3, using: &generator) where !text.isEmpty {
        let index = Int.random(in: 0..<text.count, using: &generator)
        switch Int.random(in: 0...2, using: &generator) {
        case 0: text[index] = alphabet.randomElement(using: &generator)!
        case 1: text.remove(at: index)
        default: text.insert(alphabet.randomElement(using: &generator)!, at: index)
        }
      }
      guard let value = try? JSONValue(parsing: text) else { continue }
      // What this one takes, the other takes too, and understands alike. (It takes more, and tells
      // no 1.0 from 1.)
      let other = try? JSONDecoder().decode(JSONValue.self, from: Data(text))
      let shown = String(decoding: text, as: UTF8.self)
      #expect(other.map(Self.withoutKinds) == Self.withoutKinds(value), "\(shown)")
    }
  }

  /// Every number as a Double.
  private static func withoutKinds(_ value: JSONValue) -> JSONValue {
    switch value {
    case .integer(let number): .number(Double(number))
    case .array(let values): .array(values.map(withoutKinds))
    case .object(let members): .object(members.mapValues(withoutKinds))
    default: value
    }
  }

  @Test func numbersAreTheNearestDoubles() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<10_000 {
      let written = "\(generator.number(below: 50)).\(generator.number(below: 30))"
      #expect(try JSONValue(parsing: written.utf8).number == Double(written), "\(written)")
    }
  }
}

@Suite struct JSONObjectWriterTests {
  @Test func writesWhatCanBeRead() throws {
    let text = JSONObjectWriter.object { json in
      json.member("text", "\"{[")
      json.member("none", nil as String?)
      json.object("empty") { _ in }
      json.object("figures") {
        $0.member("count", UInt64.max)
        $0.member("part", 0.5)
        $0.member("infinite", Double.infinity)
      }
      json.array("list", [1, 2]) { $1.member("n", $0) }
      json.array("nothing", [Int]()) { $1.member("n", $0) }
      json.member("last", 7)
    }
    #expect(
      String(decoding: text, as: UTF8.self)
        == #"{"text":"\"{[","none":null,"empty":{},"figures":{"count":18446744073709551615,"part":0.5,"#
        + #""infinite":null},"list":[{"n":1},{"n":2}],"nothing":[],"last":7}"#)
    #expect(try JSONValue(parsing: text)["last"] == .integer(7))
  }
}
