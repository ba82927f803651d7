import ArgumentParser
import SliceClient
import SliceModel

/// One run of the program, from its arguments to its exit status.
enum Invocation {
  static func run(arguments: [String]) -> Int32 {
    do {
      var command = try Slicectl.parseAsRoot(arguments)
      try command.run()
      return 0
    } catch let error as SliceError {
      ErrorOutput(isJSON: asksForJSON(arguments)).report(error)
      return error.code.exitStatus
    } catch {
      return finish(error, isJSON: asksForJSON(arguments))
    }
  }

  /// What the parser throws: help and completions that were asked for, statuses that a verb chose,
  /// and wrong usage.
  private static func finish(_ error: any Error, isJSON: Bool) -> Int32 {
    let status = Slicectl.exitCode(for: error)
    if error is ExitCode { return status.rawValue }
    if status.isSuccess {
      StandardOutput.write(Slicectl.fullMessage(for: error) + "\n")
      return 0
    }
    let output = ErrorOutput(isJSON: isJSON)
    if isJSON {
      output.report(SliceError(.usage, Slicectl.message(for: error)))
    } else {
      let text = Slicectl.fullMessage(for: error)
      let isPrefixed = text.hasPrefix("Error: ")
      output.write("slicectl: " + (isPrefixed ? String(text.dropFirst(7)) : text) + "\n")
    }
    return SliceError.Code.usage.exitStatus
  }

  /// Also where the command line could not be parsed.
  private static func asksForJSON(_ arguments: [String]) -> Bool {
    arguments.prefix { $0 != "--" }.contains("--json")
  }
}
