import SliceConformance
import SliceModel
import SystemTestSupport
import Testing

/// Reports that programs read: well-formed whatever a reason has in it, and with the right counts.
@Suite struct FormatTests {
  private static let hostile =
    "it said \"<&>\" # \\ \u{1b}[31m\u{0}\u{85}\u{fffe} ]]> ä\nand went on: - x"

  private static let results: [CaseResult] = {
    let verdicts: [Verdict] = [.pass, .fail(hostile), .skip(hostile), .error(hostile), .pass]
    return zip(Catalogue.all, verdicts).map { CaseResult($0, $1, seconds: 1.25) }
  }()

  @Test func tap() throws {
    let lines = ResultFormat.tap.text(Self.results).split(separator: "\n").map(String.init)
    #expect(lines[0] == "TAP version 14" && lines[1] == "1..5")
    let points = lines.filter { $0.hasPrefix("ok ") || $0.hasPrefix("not ok ") }
    #expect(points.count == 5)
    for (index, point) in points.enumerated() {
      let words = point.split(separator: " ").drop { $0 == "not" || $0 == "ok" }
      #expect(words.first == "\(index + 1)", "\(point)")
    }
    #expect(points.map { $0.hasPrefix("ok") } == [true, false, true, false, true])
    #expect(points.map { $0.contains(" # SKIP ") } == [false, false, true, false, false])
    // All else belongs to an indented YAML block, whose strings are JSON's.
    var inside = false
    for line in lines.dropFirst(2) where !points.contains(line) {
      #expect(line.hasPrefix("  "), "\(line)")
      if line == "  ---" { inside = true }
      #expect(inside, "\(line)")
      if line == "  ..." { inside = false }
      if let quote = line.firstIndex(of: "\"") {
        #expect((try? JSONValue(parsing: Array(line[quote...].utf8)))?.string != nil, "\(line)")
      }
      #expect(!line.unicodeScalars.contains { $0.value < 0x20 }, "\(line)")
    }
    #expect(!inside)
    #expect(lines.count { $0.hasPrefix("  remedy: \"") && $0.count > 20 } == 2)
  }

  @Test func json() throws {
    let value = try JSONValue(parsing: Array(ResultFormat.json.text(Self.results).utf8))
    #expect(value["passed"] == .integer(2) && value["failed"] == .integer(1))
    #expect(value["skipped"] == .integer(1) && value["errors"] == .integer(1))
    #expect(value["cases"].array?.count == 5)
    #expect(value["cases"].array?[1]["reason"].string == Self.hostile)
    // Only what did not pass needs one.
    let remedies = value["cases"].array?.map { $0["remedy"].array?.isEmpty == false }
    #expect(remedies == [false, true, false, true, false])
  }

  @Test(.requiresProgram("/usr/bin/xmllint")) func junit() throws {
    let schema = Host.packageDirectory + "/Tests/ConformanceTests/junit.xsd"
    func validate(_ text: String) throws -> CommandResult {
      try Command.run(
        ["xmllint", "--noout", "--nonet", "--schema", schema, "-"], input: Array(text.utf8))
    }
    let good = ResultFormat.junit.text(Self.results)
    let result = try validate(good)
    #expect(result.status == 0, "\(result)\n\(good)")
    #expect(good.contains("failures=\"1\" errors=\"1\" skipped=\"1\" time=\"6.250\""), "\(good)")
    // The control: the schema notices what is missing or too much.
    for (from, to) in [(" classname=", " class="), ("<skipped ", "<skip "), ("time=\"1.250\"", "")]
    {
      let broken = good.split(separator: from, omittingEmptySubsequences: false).joined(
        separator: to)
      #expect(broken != good, "\(from)")
      #expect(try validate(broken).status != 0, "\(from)")
    }
  }

  @Test func table() {
    let text = ResultFormat.table.text(Self.results)
    #expect(text.hasSuffix("2 passed, 1 failed, 1 skipped, 1 errors\n"))
    #expect(text.contains("  remedy: ") && !text.contains("\u{1b}"))
  }

  @Test func tallies() {
    #expect(!Tally(Self.results).isGood)
    #expect(Tally(Self.results.filter { !$0.verdict.isBad }).isGood)
  }
}

@Suite struct CatalogueTests {
  @Test func namesAreUnique() {
    let ids = Catalogue.all.map(\.id)
    #expect(Set(ids).count == ids.count)
    for id in ids {
      let parts = id.split(separator: ".", omittingEmptySubsequences: false)
      #expect(parts.count == 2 && parts.allSatisfy { !$0.isEmpty }, "\(id)")
      #expect(
        id.utf8.allSatisfy {
          (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46
        }, "\(id)")
    }
  }

  @Test func everyCaseNamesADefenceAndAReference() {
    for one in Catalogue.all {
      #expect(!one.defences.isEmpty || !one.depth.isEmpty, "\(one.id)")
      #expect(!one.reference.isEmpty && !one.statement.isEmpty, "\(one.id)")
      // Beside the last, which is the same of all.
      #expect(one.remedy.count > 1 && Set(one.remedy).count == one.remedy.count, "\(one.id)")
    }
    let named = Set(Catalogue.all.flatMap { $0.defences + $0.depth })
    for defence in Defence.allCases { #expect(named.contains(defence), "no case names \(defence)") }
  }

  @Test func patterns() {
    #expect(Catalogue.matching("mount.*").count > 5)
    #expect(Catalogue.matching("mount").map(\.id) == Catalogue.matching("mount.*").map(\.id))
    #expect(Catalogue.matching("mount.memory").map(\.id) == ["mount.memory"])
    #expect(
      Catalogue.matching("*.memory").map(\.id).sorted() == ["mount.memory", "resource.memory"])
    #expect(Catalogue.matching("*").count == Catalogue.all.count)
    for nothing in ["", "mount.", "mountx", "m", "mount.memory.x", "*.x-none"] {
      #expect(Catalogue.matching(nothing).isEmpty, "\(nothing)")
    }
  }
}
