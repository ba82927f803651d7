import ArgumentParser
import SliceClient
import SliceModel

/// A verb of the command line: what all have in common.
protocol Verb: ParsableCommand {
  var global: GlobalOptions { get }

  /// What it is about to do, as an error says it: `create web`.
  var operation: String { get }

  /// Does it. Throws `SliceError`, and `ExitCode` for a status that is no failure of slicectl's.
  func perform() throws
}

extension Verb {
  func run() throws {
    do {
      try perform()
    } catch let error as SliceError {
      throw error.named(operation)
    }
  }

  var supervisor: Supervisor { global.supervisor }
  var output: Output { global.output }

  /// The exit status of a command that has ended inside; says on standard error what its status
  /// doesn't.
  func exitCode(of end: CommandSession.End) -> ExitCode {
    if let reason = end.reason {
      ErrorOutput(isJSON: global.json)
        .report(SliceError(.failed, reason.escapedForTerminal).named(operation))
    }
    return ExitCode(end.status)
  }

  /// Does something with every slice of `names`, goes on after a failure, and ends with the status
  /// of the first one.
  func forEach(
    _ names: [String], _ verb: String, _ body: (SliceName) throws -> NamedResult
  ) throws {
    var results: [JSONValue] = []
    var firstFailure: SliceError?
    for name in names {
      do {
        let result = try body(SliceName(name))
        results.append(result.json)
        output.printPart(result.text)
      } catch let error as SliceError {
        ErrorOutput(isJSON: global.json)
          .report(error.named("\(verb) \(name.escapedForTerminal)"))
        firstFailure = firstFailure ?? error
      }
    }
    if !results.isEmpty { output.printWhole(.array(results)) }
    if let firstFailure { throw ExitCode(firstFailure.code.exitStatus) }
  }
}

extension SliceError {
  /// The error with the operation before it, where the supervisor hasn't put it there already.
  fileprivate func named(_ operation: String) -> SliceError {
    message.hasPrefix("\(operation): ") ? self : within(operation)
  }
}

/// What became of one of several slices.
struct NamedResult {
  var text: String
  var json: JSONValue
}
