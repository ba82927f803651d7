import SliceModel
import Testing

@Suite struct SliceNameTests {
  @Test(arguments: ["a", "web", "web-1", "a-", "x86", String(repeating: "a", count: 32)])
  func accepts(text: String) throws { #expect(try SliceName(text).description == text) }

  @Test(arguments: [
    "", "-a", "1a", "A", "Web", "a_b", "a.b", "a/b", "../x", ".", "..", "a b", "a\n", "a\u{0}", "é",
    "a\u{301}", "а" /* Cyrillic */, "a٣", "ａ", String(repeating: "a", count: 33),
  ])
  func refuses(text: String) {
    #expect(!SliceName.isValid(text))
    let error = #expect(throws: SliceError.self) { try SliceName(text) }
    #expect(error?.code == .usage)
    #expect(error?.hint != nil)
  }

  @Test func isOrderedByText() throws { #expect(try SliceName("a") < SliceName("b")) }
}

@Suite struct TerminalEscapingTests {
  @Test(arguments: [
    ("plain, é 漢 👍", "plain, é 漢 👍"), ("a\u{1B}[31m", "a\\u{1b}[31m"), ("a\r\nb", "a\\u{d}\\u{a}b"),
    ("\u{7F}\u{9B}", "\\u{7f}\\u{9b}"), ("\u{202E}x", "\\u{202e}x"), ("\u{61C}", "\\u{61c}"),
    ("\u{2066}", "\\u{2066}"), ("\u{FEFF}", "\\u{feff}"), ("\u{E0041}", "\\u{e0041}"),
    ("\u{0}", "\\u{0}"), ("", ""),
  ])
  func escapes(text: String, shown: String) { #expect(text.escapedForTerminal == shown) }

  @Test func leavesNoControlCharacter() {
    for value in UInt32(0)...0x2FFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let shown = String(Character(scalar)).escapedForTerminal
      let category = scalar.properties.generalCategory
      let isHidden =
        scalar.properties.isBidiControl || category == .control
        || category == .lineSeparator || category == .paragraphSeparator
      #expect(!isHidden || !shown.unicodeScalars.contains(scalar))
    }
  }
}
