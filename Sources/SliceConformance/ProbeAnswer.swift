import SliceModel

/// What slice-probe said of one attempt: a line of its output.
struct ProbeAnswer: Sendable {
  enum Outcome: String { case held, broken, inapplicable, error }

  let probe: String
  let argument: String
  let outcome: Outcome
  /// Name of an errno; empty for none.
  let answer: String
  let tried: String
  let detail: String

  /// `clone() of a new user namespace: EPERM`.
  var text: String {
    ([tried, answer, detail].filter { !$0.isEmpty }).joined(separator: ": ")
  }

  /// Nil for a line that is none of slice-probe's.
  init?(line: some StringProtocol) {
    guard let value = try? JSONValue(parsing: Array(line.utf8)), let probe = value["probe"].string,
      let outcome = value["outcome"].string.flatMap(Outcome.init(rawValue:))
    else { return nil }
    self.probe = probe
    self.outcome = outcome
    argument = value["argument"].string ?? ""
    answer = value["answer"].string ?? ""
    tried = value["tried"].string ?? ""
    detail = value["detail"].string ?? ""
  }

  /// All answers in a program's output, by NAME=ARGUMENT.
  static func all(in output: String) -> [String: ProbeAnswer] {
    var answers: [String: ProbeAnswer] = [:]
    for line in output.split(whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
      guard let answer = ProbeAnswer(line: line) else { continue }
      answers["\(answer.probe)=\(answer.argument)"] = answer
    }
    return answers
  }
}
