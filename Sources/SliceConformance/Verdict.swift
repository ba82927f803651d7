/// What came of a case.
public enum Verdict: Sendable, Hashable {
  /// Held, and the control shows that the attack can work.
  case pass
  /// The attack worked.
  case fail(String)
  /// Nothing is shown: this host can't try it.
  case skip(String)
  /// The suite itself failed.
  case error(String)

  /// `pass`, `fail`, `skip` or `error`.
  public var word: String {
    switch self {
    case .pass: "pass"
    case .fail: "fail"
    case .skip: "skip"
    case .error: "error"
    }
  }

  public var reason: String? {
    switch self {
    case .pass: nil
    case .fail(let reason), .skip(let reason), .error(let reason): reason
    }
  }

  public var isBad: Bool {
    switch self {
    case .pass, .skip: false
    case .fail, .error: true
    }
  }
}

public struct CaseResult: Sendable {
  public let conformanceCase: ConformanceCase
  public let verdict: Verdict
  public let seconds: Double

  public init(_ conformanceCase: ConformanceCase, _ verdict: Verdict, seconds: Double) {
    self.conformanceCase = conformanceCase
    self.verdict = verdict
    self.seconds = seconds
  }
}

extension CaseResult {
  /// What to do, sentence by sentence, where it did not pass.
  public var remedy: [String] {
    switch verdict {
    case .pass, .skip: []
    case .fail: conformanceCase.remedy
    case .error:
      [
        "nothing is known of this case: run it again with 'slicectl conformance --only \(conformanceCase.id)'; where it stays so, run 'slicectl doctor' and see the supervisor's log"
      ]
    }
  }

  /// What it means and what to do, for a failing case.
  var explanation: [String] {
    let held = conformanceCase.named.map(\.meaning).joined(separator: "; ")
    return switch verdict {
    case .fail(let reason):
      [
        reason, "must hold: \(conformanceCase.statement)",
        "reference: \(conformanceCase.reference)",
      ]
        + (held.isEmpty ? [] : ["held by: \(held)"])
        + remedy.map { "remedy: \($0)" }
    case .error(let reason): [reason] + remedy.map { "remedy: \($0)" }
    case .skip(let reason): [reason]
    case .pass: []
    }
  }
}

/// Counts by verdict.
public struct Tally: Sendable {
  public let passed: Int
  public let failed: Int
  public let skipped: Int
  public let errors: Int

  public init(_ results: [CaseResult]) {
    func count(_ word: String) -> Int { results.count { $0.verdict.word == word } }
    passed = count("pass")
    failed = count("fail")
    skipped = count("skip")
    errors = count("error")
  }

  public var isGood: Bool { failed == 0 && errors == 0 }
}
