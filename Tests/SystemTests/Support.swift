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

  /// Makes the image `probes`: busybox, and a program of Tests/Probes as /bin/NAME.
  func importProbes(_ name: String) throws {
    try importPrograms([name: try ProbeProgram.path(name)], as: "probes")
  }

  /// Makes an image of busybox and static programs, each as /bin/NAME.
  func importPrograms(_ paths: [String: String], as image: String) throws {
    let tree = directory + "/" + image
    let copies = paths.map { "cp '\($0.value)' '\(tree)/bin/\($0.key)'" }
    let made = try Command.run([
      "sh", "-ec",
      """
      mkdir -p '\(tree)/bin' '\(tree)/etc' && cp '\(Host.programs)/busybox' '\(tree)/bin/busybox'
      for name in sh cat ping sleep; do ln -s busybox '\(tree)/bin/'$name; done
      echo 'root:x:0:0:root:/:/bin/sh' >'\(tree)/etc/passwd'
      \(copies.joined(separator: "\n"))
      """,
    ])
    guard made.status == 0 else { throw HarnessError("\(made)") }
    try succeed("image", "import", tree, "--name", image)
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

/// Programs of the tests, compiled once for all tests of this process.
enum ProbeProgram {
  private static let compiled = Mutex<[String: String]>([:])

  /// Of Tests/Probes.
  static func path(_ name: String) throws -> String { try path(source: "Tests/Probes/\(name).c") }

  /// - Parameter source: in the package.
  static func path(source: String) throws -> String {
    let name = source.split(separator: "/").last?.prefix { $0 != "." } ?? "program"
    return try compiled.withLock { compiled in
      if let path = compiled[source] { return path }
      let path = "/tmp/slices-probe-\(name)-\(getpid())"
      let package = Host.packageDirectory
      let made = try Command.run([
        "cc", "-O1", "-w", "-static", "-pthread", "-I\(package)/CShims/sliceraw/include", "-o",
        path,
        "\(package)/\(source)", "-L\(package)/build/lib", "-lsliceraw",
      ])
      guard made.status == 0 else { throw HarnessError("\(made)") }
      if compiled.isEmpty { atexit { ProbeProgram.removeAll() } }
      compiled[source] = path
      return path
    }
  }

  private static func removeAll() {
    compiled.withLock { $0.values.forEach { unlink($0) } }
  }
}
