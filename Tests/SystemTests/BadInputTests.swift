import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Every wrong request has a clear error, the status that slicectl(1) lists, and leaves nothing.
@Suite(.requiresSlices) struct BadInputTests {
  /// Runs each command line in a node where nothing else happens; checks status, words, leftovers.
  private func refuse(
    all commands: [[String]], status: Int32, words: [String] = [],
    options: TestNode.Options = .init(), input: String? = nil,
    location: SourceLocation = #_sourceLocation
  ) throws {
    try withNode(options) { node in
      let before = node.resources()
      for arguments in commands {
        let result = try node.slicectl(arguments, input: input)
        let what: Comment = "\(arguments): \(result)"
        #expect(result.status == status, what, sourceLocation: location)
        #expect(result.output.isEmpty, what, sourceLocation: location)
        for word in words {
          #expect(
            result.errors.lowercased().contains(word.lowercased()), what, sourceLocation: location)
        }
        #expect(node.change(since: before) == "", what, sourceLocation: location)
        #expect(try node.json("list") == .array([]), what, sourceLocation: location)
      }
    }
  }

  private func refuse(
    _ commands: [String]..., status: Int32, _ words: String..., options: TestNode.Options = .init(),
    input: String? = nil, location: SourceLocation = #_sourceLocation
  ) throws {
    try refuse(
      all: commands, status: status, words: words, options: options, input: input,
      location: location)
  }

  private static let minimal = ["--image", "minimal"]

  @Test func unknownKey() throws {
    try refuse(
      ["create", "web", "--set", "memory.maximum=1G", "--", "true"], status: 2, "memory.maximum",
      "memory.max")
  }

  @Test func valueOutOfRange() throws {
    let values = [
      "cpu.weight": ["0", "10001", "abc", "-5", "1.5"], "cpu.max": ["0%", "x"], "cpu.set": ["9-1"],
      "memory.max": ["12X", "-1", "99999999999999999999"], "pids.max": ["1", "1e3"],
      "net.mode": ["bridged"], "io.write.max": ["1"],
    ]
    for (key, values) in values {
      try refuse(
        all: (values.map { "\(key)=\($0)" } + [key]).map {
          ["create", "web"] + Self.minimal + ["--set", $0, "--", "true"]
        }, status: 2, words: [key])
    }
  }

  @Test func badName() throws {
    let names = [
      "../x", "x/y", "", ".", "..", "Web", "1web", "-web", "web_1", "web web", "web\n", "wéb",
      String(repeating: "a", count: 33),
    ]
    try refuse(
      all: names.map { ["create", "--image", "minimal", "--", $0, "true"] }, status: 2)
  }

  @Test func duplicateName() throws {
    try withNode { node in
      try node.create("web")
      let before = node.resources()
      let result = try node.slicectl("create", "web", "--image", "minimal", "--", "true")
      #expect(result.fails(1, "web", "exists"), "\(result)")
      #expect(node.change(since: before) == "")
      #expect(try node.state(of: "web") == "running")
    }
  }

  @Test func missingImage() throws {
    try refuse(
      ["create", "web", "--image", "no-such-image", "--", "true"], status: 1, "no-such-image")
  }

  @Test func commandNotFound() throws {
    try refuse(
      ["create", "web"] + Self.minimal + ["--", "/no/such/program"], status: 127,
      "/no/such/program", "not found")
  }

  @Test func commandNotFoundOnPath() throws {
    try refuse(
      ["create", "web"] + Self.minimal + ["--", "no-such-program"], status: 127, "no-such-program")
  }

  @Test func commandNotExecutable() throws {
    try refuse(
      ["create", "web"] + Self.minimal + ["--", "/etc/passwd"], status: 126, "/etc/passwd",
      "executed")
  }

  @Test func userThatTheImageLacks() throws {
    try refuse(
      ["create", "web"] + Self.minimal + ["--user", "nosuchuser", "--", "true"], status: 125,
      "nosuchuser")
  }

  @Test func workingDirectoryThatTheImageLacks() throws {
    try refuse(
      ["create", "web"] + Self.minimal + ["--workdir", "/no/such", "--", "true"], status: 125,
      "/no/such")
  }

  @Test func syntaxErrorNamesFileLineAndColumn() throws {
    try withNode { node in
      let file = node.directory + "/bad.toml"
      try HostFiles.write("image = \"minimal\"\ncommand = [\"true\"\n\n[cpu\n", to: file)
      let result = try node.slicectl("create", "web", "--file", file)
      #expect(result.status == 2, "\(result)")
      // FILE:LINE:COLUMN, as compilers write it.
      #expect(result.errors.contains(/bad\.toml:[0-9]+:[0-9]+/), "\(result)")
    }
  }

  @Test func unknownKeyInAFile() throws {
    try refuse(
      ["create", "web", "--file", "-"], status: 2, "wieght", "weight",
      input: "image = \"minimal\"\n[cpu]\nwieght = 5\n")
  }

  @Test func missingFile() throws {
    try refuse(["create", "web", "--file", "/no/such.toml"], status: 1, "/no/such.toml")
  }

  @Test func noArguments() throws {
    try refuse(["create"], ["frobnicate"], ["list", "--wat"], ["exec", "web"], status: 2)
  }

  @Test func noSuchSlice() throws {
    let verbs = [
      "start", "stop", "restart", "kill", "pause", "resume", "destroy", "inspect", "logs", "wait",
      "shares", "enter",
    ]
    try refuse(
      all: verbs.map { [$0, "ghost"] } + [
        ["exec", "ghost", "--", "true"], ["set", "ghost", "cpu.weight=5"],
      ], status: 3, words: ["ghost"])
  }

  @Test func setChangesAllOrNothing() throws {
    try withNode { node in
      try node.create("web", "--set", "pids.max=60")
      for changes in [
        ["pids.max=70", "cpu.weight=0"], ["pids.max=70", "nonsense=1"],
        ["pids.max=70", "memory.low=64M", "memory.max=32M"], ["pids.max=70", "restart=sometimes"],
        ["pids.max=70", "net.mode=none"],
      ] {
        let result = try node.slicectl(["set", "web"] + changes)
        #expect(result.status == 2, "\(changes): \(result)")
        #expect(try node.inspect("web")["settings"]["pids.max"] == .string("60"), "\(changes)")
      }
    }
  }

  @Test(.enabled(if: !Host.enforcesLimits, "this host enforces all limits"))
  func limitsThatThisHostCannotEnforce() throws {
    let strict = TestNode.Options(allowUnenforced: false)
    try refuse(
      ["create", "web"] + Self.minimal + ["--set", "memory.max=64M", "--", "true"], status: 5,
      "memory", "--allow-unenforced", options: strict)
  }

  @Test func keysThatThisVersionDoesNotEnforce() throws {
    let strict = TestNode.Options(allowUnenforced: false)
    for (key, value) in ["grant.nest": "true", "net.mode": "shared"] {
      try refuse(
        ["create", "web"] + Self.minimal + ["--set", "\(key)=\(value)", "--", "true"], status: 5,
        key, options: strict)
    }
  }

  @Test func allowUnenforcedShowsWhatDoesNotHold() throws {
    try withNode(TestNode.Options(allowUnenforced: false)) { node in
      try node.create("web", "--allow-unenforced", "--set", "net.max=1G")
      #expect(try node.json("list").array?.first?["unenforced"] == .array([.string("net.max")]))
      #expect(try node.succeed("list").contains("net.max"))
      #expect(try node.succeed("inspect", "web").contains("net.max"))
    }
  }

  @Test func exhaustedAddresses() throws {
    let tiny = TestNode.Options(policy: "[network]\npool4 = \"10.99.0.0/29\"\n")
    try withNode(tiny) { node in
      var made = 0
      var last: CommandResult?
      while made < 10 {
        let result = try node.slicectl("create", "s\(made)", "--image", "minimal", "--no-start")
        last = result
        guard result.status == 0 else { break }
        made += 1
      }
      #expect(made > 0 && made < 8)
      #expect(last?.fails(1, "addresses", "in use") == true, "\(String(describing: last))")
      #expect(try node.json("list").array?.count == made)
      try node.succeed("destroy", "s0")
      try node.create("again", "--no-start")
    }
  }

  @Test func exhaustedIdRanges() throws {
    try withNode(TestNode.Options(policy: "[ids]\nranges = 1\n")) { node in
      try node.create("first", "--no-start")
      let result = try node.slicectl("create", "second", "--image", "minimal", "--no-start")
      #expect(result.fails(1, "id ranges"), "\(result)")
    }
  }

  @Test func fullDisk() throws {
    var options = TestNode.Options()
    options.storage = .tmpfs(megabytes: 16)
    try withNode(options) { node in
      try node.create("writer")
      // Larger than what is left, to the last block.
      _ = try node.host.run(
        ["sh", "-c", "dd if=/dev/zero of='\(node.state)/fill' bs=4k 2>/dev/null; true"])
      let result = try node.slicectl("create", "web", "--image", "minimal", "--", "sleep", "1000")
      #expect(result.fails(1, "ENOSPC"), "\(result)")
      #expect(try node.json("list").array?.count == 1)
      #expect(try node.execute("writer", "hostname") == "writer")
      _ = try node.host.run(["rm", "\(node.state)/fill"])
      try node.create("web")
    }
  }

  @Test func noSupervisor() throws {
    try withNode(checkLeftovers: false) { node in
      node.stopSupervisor()
      for verb in [["list"], ["create", "web", "--", "true"], ["exec", "web", "--", "true"]] {
        let result = try node.slicectl(verb)
        #expect(result.fails(6, node.socket, "sliced"), "\(result)")
      }
    }
  }

  @Test func twoSupervisorsOfOneNode() throws {
    try withNode { node in
      let second = try node.host.run([
        Host.programs + "/sliced", "--state", node.state, "--runtime", node.runtime, "--socket",
        node.socket + "2", "--policy", "/dev/null",
      ])
      #expect(second.status != 0 && second.errors.contains("another sliced"), "\(second)")
    }
  }

  @Test func supervisorWithoutRoot() throws {
    try withNode { node in
      let second = try node.host.run([Host.programs + "/sliced"], as: .alice)
      #expect(second.status == 4, "\(second)")
    }
  }

  @Test func supervisorWithABadPolicy() throws {
    try withNode(checkLeftovers: false) { node in
      node.stopSupervisor()
      try HostFiles.write("admin-grop = \"x\"\n", to: node.directory + "/node.toml")
      #expect(throws: (any Error).self) { try node.startSupervisor() }
      #expect(node.log.contains("node.toml:1:"))
      #expect(node.log.contains("admin-group"))
    }
  }

  @Test func aFailedStartLeavesNothing() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "minimal", "--no-start", "--", "/no/such")
      let before = node.resources()
      let result = try node.slicectl("start", "web")
      #expect(result.fails(127, "/no/such"), "\(result)")
      #expect(node.change(since: before) == "")
      #expect(try node.state(of: "web") == "failed" || node.state(of: "web") == "created")
    }
  }
}
