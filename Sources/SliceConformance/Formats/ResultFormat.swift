import SliceModel

/// How results are written.
public enum ResultFormat: String, Sendable, CaseIterable {
  /// For people.
  case table
  /// Test Anything Protocol, version 14 (testanything.org).
  case tap
  /// JUnit's XML, as CI systems read it; Tests/ConformanceTests/junit.xsd says what of it.
  case junit
  case json

  public func text(_ results: [CaseResult]) -> String {
    switch self {
    case .table: TableFormat.text(results)
    case .tap: TAPFormat.text(results)
    case .junit: JUnitFormat.text(results)
    case .json: JSONFormat.value(results).text(pretty: true) + "\n"
    }
  }
}

enum JSONFormat {
  static func value(_ results: [CaseResult]) -> JSONValue {
    let tally = Tally(results)
    return .object([
      "passed": JSONValue(tally.passed), "failed": JSONValue(tally.failed),
      "skipped": JSONValue(tally.skipped), "errors": JSONValue(tally.errors),
      "cases": .array(results.map(value)),
    ])
  }

  private static func value(_ result: CaseResult) -> JSONValue {
    let one = result.conformanceCase
    return .object([
      "id": .string(one.id), "statement": .string(one.statement),
      "reference": .string(one.reference), "verdict": .string(result.verdict.word),
      "reason": JSONValue(result.verdict.reason), "seconds": .number(result.seconds),
      "defences": .array(one.defences.map { .string($0.rawValue) }),
      "depth": .array(one.depth.map { .string($0.rawValue) }),
      "remedy": .array(result.remedy.map { .string($0) }),
      "explanation": .array(
        result.verdict.isBad ? result.explanation.map { .string($0) } : []),
    ])
  }

  /// Of cases that were not run.
  static func list(_ cases: [ConformanceCase]) -> JSONValue {
    .array(
      cases.map { one in
        .object([
          "id": .string(one.id), "statement": .string(one.statement),
          "reference": .string(one.reference),
          "defences": .array(one.defences.map { .string($0.rawValue) }),
          "depth": .array(one.depth.map { .string($0.rawValue) }),
        ])
      })
  }
}

extension Catalogue {
  public static func json(_ cases: [ConformanceCase]) -> JSONValue { JSONFormat.list(cases) }
}
