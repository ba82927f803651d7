/// One suite; a case's concern is its class. Errors of the suite itself are `error`, attacks that worked `failure`.
enum JUnitFormat {
  static func text(_ results: [CaseResult]) -> String {
    let tally = Tally(results)
    let time = seconds(results.reduce(0) { $0 + $1.seconds })
    let counts =
      "tests=\"\(results.count)\" failures=\"\(tally.failed)\" errors=\"\(tally.errors)\" skipped=\"\(tally.skipped)\" time=\"\(time)\""
    var lines = [
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>", "<testsuites \(counts)>",
      "  <testsuite name=\"isolation\" \(counts)>",
    ]
    for result in results { lines += element(result) }
    lines += ["  </testsuite>", "</testsuites>"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func element(_ result: CaseResult) -> [String] {
    let one = result.conformanceCase
    let opening =
      "    <testcase classname=\"isolation.\(escaped(one.concern))\" name=\"\(escaped(one.id))\" time=\"\(seconds(result.seconds))\""
    guard let reason = result.verdict.reason else { return [opening + "/>"] }
    let details = escaped(result.explanation.joined(separator: "\n"))
    let message = escaped(reason)
    let inner =
      switch result.verdict {
      case .skip: "      <skipped message=\"\(message)\"/>"
      case .error: "      <error message=\"\(message)\" type=\"error\">\(details)</error>"
      case .fail, .pass: "      <failure message=\"\(message)\" type=\"fail\">\(details)</failure>"
      }
    return [opening + ">", inner, "    </testcase>"]
  }

  /// With three digits after the point.
  static func seconds(_ value: Double) -> String {
    let thousandths = Int(max(0, value) * 1000 + 0.5)
    let rest = String(thousandths % 1000)
    return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
  }

  /// What XML 1.0 can't have at all is replaced, not escaped.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n": result += "&#10;"
      case "\t", "\u{20}"..."\u{7e}", "\u{a0}"..."\u{d7ff}", "\u{e000}"..."\u{fffd}":
        result.unicodeScalars.append(scalar)
      case "\u{10000}"..."\u{10ffff}": result.unicodeScalars.append(scalar)
      default: result += "\u{fffd}"
      }
    }
    return result
  }
}
