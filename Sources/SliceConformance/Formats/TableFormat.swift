import SliceModel

/// A line a case, those of a concern together; then what failed, what it means and what to do.
enum TableFormat {
  static func text(_ results: [CaseResult]) -> String {
    let width = results.map { $0.conformanceCase.id.count }.max() ?? 0
    var lines = results.map { result in
      let one = result.conformanceCase
      let padding = String(repeating: " ", count: width - one.id.count)
      let note = result.verdict.reason.map { " (\($0.escapedForTerminal))" } ?? ""
      let word = result.verdict.word + String(repeating: " ", count: 5 - result.verdict.word.count)
      return "\(word)  \(one.id)\(padding)  \(one.statement)\(result.verdict.isBad ? "" : note)"
    }
    for result in results where result.verdict.isBad {
      lines += ["", "\(result.verdict.word): \(result.conformanceCase.id)"]
      lines += result.explanation.map { "  \($0.escapedForTerminal)" }
    }
    let tally = Tally(results)
    lines += [
      "",
      "\(tally.passed) passed, \(tally.failed) failed, \(tally.skipped) skipped, \(tally.errors) errors",
    ]
    return lines.joined(separator: "\n") + "\n"
  }
}
