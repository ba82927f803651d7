import SliceModel

/// https://testanything.org/tap-version-14-specification.html
enum TAPFormat {
  static func text(_ results: [CaseResult]) -> String {
    var lines = ["TAP version 14", "1..\(results.count)"]
    for (index, result) in results.enumerated() {
      let good = result.verdict.isBad ? "not ok" : "ok"
      var line = "\(good) \(index + 1) - \(result.conformanceCase.id)"
      if case .skip(let reason) = result.verdict { line += " # SKIP \(escaped(reason))" }
      lines.append(line)
      if result.verdict.isBad { lines += diagnostics(result) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// A YAML block; strings in JSON's form, which is YAML's too.
  private static func diagnostics(_ result: CaseResult) -> [String] {
    let one = result.conformanceCase
    func quoted(_ text: String) -> String { JSONValue.string(text).text(pretty: false) }
    return [
      "  ---", "  severity: \(result.verdict.word)",
      "  message: \(quoted(result.verdict.reason ?? ""))",
      "  statement: \(quoted(one.statement))", "  reference: \(quoted(one.reference))",
      "  remedy: \(quoted(result.remedy.joined(separator: "; ")))", "  explanation:",
    ] + result.explanation.map { "    - \(quoted($0))" } + ["  ..."]
  }

  /// A description ends with its line, and `#` begins a directive.
  private static func escaped(_ text: String) -> String {
    String(text.escapedForTerminal.flatMap { $0 == "#" || $0 == "\\" ? ["\\", $0] : [$0] })
  }
}
