import Glibc
import SliceModel
import Synchronization
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

  /// Makes the image `probes`: a shell, and a program of Tests/Probes as /bin/NAME.
  func importProbes(_ name: String) throws {
    let tree = directory + "/probes"
    let made = try Command.run([
      "sh", "-ec",
      """
      mkdir -p '\(tree)/bin' '\(tree)/etc' && cp '\(Host.programs)/busybox' '\(tree)/bin/sh'
      echo 'root:x:0:0:root:/:/bin/sh' >'\(tree)/etc/passwd'
      cp '\(try ProbeProgram.path(name))' '\(tree)/bin/\(name)'
      """,
    ])
    guard made.status == 0 else { throw HarnessError("\(made)") }
    try succeed("image", "import", tree, "--name", "probes")
  }

  /// A slice of the image `probes` that runs `command`.
  func createProbe(_ name: String, _ settings: [String], _ command: String...) throws {
    let result = try slicectl(
      ["create", name, "--image", "probes"] + settings.flatMap { ["--set", $0] } + ["--"] + command)
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

/// Programs of Tests/Probes, compiled once for all tests of this process.
enum ProbeProgram {
  private static let compiled = Mutex<[String: String]>([:])

  static func path(_ name: String) throws -> String {
    try compiled.withLock { compiled in
      if let path = compiled[name] { return path }
      let path = "/tmp/slices-probe-\(name)-\(getpid())"
      let made = try Command.run([
        "cc", "-O1", "-w", "-static", "-pthread", "-o", path,
        "\(Host.packageDirectory)/Tests/Probes/\(name).c",
      ])
      guard made.status == 0 else { throw HarnessError("\(made)") }
      if compiled.isEmpty { atexit { ProbeProgram.removeAll() } }
      compiled[name] = path
      return path
    }
  }

  private static func removeAll() {
    compiled.withLock { $0.values.forEach { unlink($0) } }
  }
}
