import Glibc
import SliceModel

/// The isolation conformance suite: runs cases against the supervisor of this host and judges them.
public struct Suite {
  /// What to run: all of it, or the cases that a pattern selects.
  public let cases: [ConformanceCase]
  private let tools: TestBed.Tools
  private let interruption: Interruption

  public enum Outcome: Sendable {
    case finished([CaseResult])
    /// By this signal, after what was made was removed.
    case interrupted(Int32)
  }

  /// - Parameters:
  ///   - cases: in any order.
  ///   - slicectl: path of the client.
  ///   - probe: path of slice-probe.
  ///   - socket: where the supervisor listens.
  ///   - adapter: the command line of another runtime's adapter, whose containers are attacked instead of slices.
  ///   - load: whether cases may fill what the host's other users need.
  ///   - thorough: whether cases may make very many slices.
  public init(
    _ cases: [ConformanceCase], slicectl: String, probe: String, socket: String,
    adapter: [String]? = nil, load: Bool = false, thorough: Bool = false,
    interruption: Interruption
  ) {
    self.cases = cases
    tools = TestBed.Tools(
      slicectl: slicectl, probe: probe, socket: socket, adapter: adapter, load: load,
      thorough: thorough)
    self.interruption = interruption
  }

  /// Runs them. Whatever happens, what the suite made is removed.
  /// - Parameters:
  ///   - progress: is told what is about to be done, and how much is done.
  /// - Throws: an error when the suite could not begin, or left something behind.
  public func run(
    progress: (_ what: String, _ done: Int) -> Void
  ) throws(SliceError) -> Outcome {
    let bed: TestBed
    do {
      bed = try TestBed(tools: tools, interruption: interruption)
    } catch {
      throw SliceError(.failed, "\(error)")
    }
    let results = judgeAll(bed, progress)
    progress("cleaning up", cases.count)
    let complaints = bed.remove()
    if let signal = interruption.signal { return .interrupted(signal) }
    guard complaints.isEmpty else {
      throw SliceError(
        .failed, "something was left behind: \(complaints.joined(separator: "; "))",
        hint: "'slicectl list' shows slices named conformance-N; destroy them")
    }
    return .finished(results)
  }

  private func judgeAll(
    _ bed: TestBed, _ progress: (String, Int) -> Void
  ) -> [CaseResult] {
    var results: [CaseResult] = []
    progress("probes on every way into a slice", 0)
    let start = Clock.now
    let probes = ProbeRuns(cases, bed)
    let each = (Clock.now - start) / Double(max(1, cases.count { $0.isProbe }))
    for one in cases {
      progress(one.id, results.count)
      let begin = Clock.now
      let verdict = judge(one, bed, probes)
      if interruption.signal != nil { return results }
      results.append(
        CaseResult(one, verdict, seconds: one.isProbe ? each : Clock.now - begin))
    }
    return results
  }

  private func judge(_ one: ConformanceCase, _ bed: TestBed, _ probes: ProbeRuns) -> Verdict {
    do {
      switch one.check {
      case .probe(let attempt, let control): return try probes.verdict(attempt, control)
      case .script(let body):
        guard bed.adapter == nil else { return .skip("it uses what slices alone have") }
        return try body(bed)
      }
    } catch let gap as TestBed.Unenforceable {
      return .skip("it can't be tried here: \(gap.reason)")
    } catch {
      return .error("\(error)")
    }
  }
}

extension ConformanceCase {
  fileprivate var isProbe: Bool { if case .probe = check { true } else { false } }
}

/// All probes of a run, tried at once: on every way into a slice, and in their controls.
private struct ProbeRuns {
  private let bed: TestBed
  private var ways: [Way] = []
  private var bare: [String: ProbeAnswer] = [:]
  private var host: [String: ProbeAnswer] = [:]
  /// Why there are none.
  private var failure: (any Error)?
  private var bareFailure: String?

  init(_ cases: [ConformanceCase], _ bed: TestBed) {
    self.bed = bed
    do {
      try run(cases)
    } catch {
      failure = error
    }
  }

  private mutating func run(_ cases: [ConformanceCase]) throws {
    var attempts: [Attempt] = []
    var bareAttempts: [Attempt] = []
    var hostAttempts: [Attempt] = []
    for case .probe(let attempt, let control) in cases.map(\.check) {
      attempts.append(attempt)
      let other = Attempt(name: attempt.name, argument: control.argument ?? attempt.argument)
      switch control {
      case .bare: bareAttempts.append(other)
      case .host: hostAttempts.append(other)
      }
    }
    guard !attempts.isEmpty else { return }
    // A variable that the caller has and the command must not get.
    let environment = ["\(Self.variable)=secret"]
    ways =
      if let adapter = bed.adapter {
        try containerWay(adapter, attempts, environment)
      } else {
        try sliceWays(attempts, environment)
      }
    if !hostAttempts.isEmpty {
      let list = try bed.texts(hostAttempts)
      host = ProbeAnswer.all(in: try bed.probe(["run"] + list, environment: environment).output)
    }
    if !bareAttempts.isEmpty {
      let list = try bed.texts(bareAttempts)
      let result = try bed.probe(["bare"] + list, environment: environment)
      bare = ProbeAnswer.all(in: result.output)
      if bare.isEmpty { bareFailure = result.complaint }
    }
  }

  private typealias Way = (name: String, answers: [String: ProbeAnswer])

  private func sliceWays(_ attempts: [Attempt], _ environment: [String]) throws -> [Way] {
    let slice = try bed.attacked(attempts)
    let list = try bed.texts(attempts)
    return [
      ("the service", ProbeAnswer.all(in: try bed.slicectl(["logs", slice]).output)),
      (
        "exec",
        ProbeAnswer.all(
          in: try bed.probe(in: slice, ["run"] + list, environment: environment).output)
      ),
      (
        "a terminal",
        ProbeAnswer.all(
          in: try bed.probe(in: slice, ["run"] + list, terminal: true, environment: environment)
            .output)
      ),
    ]
  }

  private func containerWay(
    _ adapter: [String], _ attempts: [Attempt], _ environment: [String]
  ) throws -> [Way] {
    // Some take no longer command lines: firejail has place for 128 words.
    var rest = try bed.texts(attempts)[...]
    var answers: [String: ProbeAnswer] = [:]
    while !rest.isEmpty {
      let result = try Program(environment: environment).run(
        adapter + ["run"] + rest.prefix(100), seconds: 300, interruption: bed.interruption)
      let found = ProbeAnswer.all(in: result.output)
      guard !found.isEmpty else { throw SuiteError("\(adapter[0]): \(result.complaint)") }
      answers.merge(found) { $1 }
      rest = rest.dropFirst(100)
    }
    return [("the container", answers)]
  }

  /// See `descriptor.environment`.
  static let variable = "SLICE_PROBE_SECRET"

  func verdict(_ attempt: Attempt, _ control: Control) throws -> Verdict {
    if let failure { throw failure }
    let key = try bed.text(attempt)
    var missing: String?
    for way in ways {
      guard let answer = way.answers[key] else {
        missing = "no answer of \(key) through \(way.name)"
        continue
      }
      switch answer.outcome {
      case .broken: return .fail("through \(way.name): \(answer.text)")
      case .error: missing = "through \(way.name): \(answer.text)"
      case .held, .inapplicable: break
      }
    }
    if let missing { return .error(missing) }
    return try judge(control, of: attempt)
  }

  private func judge(_ control: Control, of attempt: Attempt) throws -> Verdict {
    let key = try bed.text(
      Attempt(name: attempt.name, argument: control.argument ?? attempt.argument))
    let answer: ProbeAnswer?
    switch control {
    case .bare: answer = bare[key]
    case .host: answer = host[key]
    }
    guard let answer else {
      return .skip("the control could not be run: \(bareFailure ?? "no answer of \(key)")")
    }
    switch answer.outcome {
    case .broken: return .pass
    case .held, .inapplicable:
      return .skip("the attack doesn't work outside a slice either: \(answer.text)")
    case .error: return .error("the control: \(answer.text)")
    }
  }
}
