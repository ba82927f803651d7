import SliceModel
import SystemTestSupport
import Testing

extension TestNode {
  /// A slice of the minimal image; `command` is its service.
  func create(_ name: String, _ options: String..., command: [String] = ["sleep", "100000"]) throws
  {
    let result = try slicectl(
      ["create", name, "--image", "minimal"] + options + ["--"] + command)
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
  }

  /// Runs a shell command in a slice: what it prints.
  func shell(_ slice: String, _ script: String) throws -> String {
    try execute(slice, "sh", "-c", script)
  }

  func inspect(_ slice: String, as user: TestUser = .root) throws -> JSONValue {
    try json("inspect", slice, as: user)
  }
}

extension CommandResult {
  /// Whether it failed as slicectl(1) says: this status, a message with all of `words`, and nothing
  /// on standard output.
  func fails(_ status: Int32, _ words: String...) -> Bool {
    self.status == status && output.isEmpty
      && words.allSatisfy { errors.lowercased().contains($0.lowercased()) }
  }
}
