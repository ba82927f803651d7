import ArgumentParser
import SliceClient
import SliceModel

struct SetKeys: Verb {
  static let configuration = CommandConfiguration(
    commandName: "set", abstract: "Change limits, grants and the restart policy of a slice.",
    discussion: """
      At once, also while it runs, and all or nothing. An empty value removes a limit. What is used \
      above a lower memory.max is reclaimed first; where it can't be, nothing is changed.

        slicectl set web memory.max=512M cpu.weight=50
        slicectl set web cpu.max= restart=always

      slice.toml(5) lists the keys.
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Argument(
    help: ArgumentHelp("What to change.", valueName: "key=value"),
    completion: Completions.settings)
  var changes: [String]

  var operation: String { "set \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    let reply = try supervisor.set(name, Self.parse(changes))
    output.print(ChangeReport(slice: reply.slice, changes: changes, notes: reply.notes))
  }

  /// Checked here as well as by the supervisor: what is malformed needs none to be found out.
  private static func parse(_ changes: [String]) throws(SliceError) -> [String: String] {
    var texts: [String: String] = [:]
    var settings = Settings()
    for change in changes {
      let parts = change.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let (key, value) = (String(parts[0]), parts.count == 2 ? String(parts[1]) : nil)
      if key == "restart" {
        guard let value, RestartPolicy(rawValue: value) != nil else {
          let policies = RestartPolicy.allCases.map(\.rawValue).joined(separator: ", ")
          throw SliceError(
            .usage, "\(change.escapedForTerminal) is not valid",
            hint: "restart takes one of \(policies)")
        }
      } else {
        try settings.apply([change])
      }
      guard texts.updateValue(value ?? "", forKey: key) == nil else {
        throw SliceError(.usage, "\(key.escapedForTerminal) is given twice")
      }
    }
    return texts
  }
}
