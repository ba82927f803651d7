import SliceModel
import SystemTestSupport
import Testing

/// What scripts rely on: every key of `--json` is there, null where nothing is set.
@Suite(.requiresSlices) struct ShapeTests {
  private static let summary: Set<String> = [
    "name", "owner", "state", "image", "pid", "ipv4", "ipv6", "createdAt", "startedAt", "restarts",
    "lease", "publish", "unenforced", "reason",
  ]

  @Test func slicesHaveEveryKey() throws {
    try withNode { node in
      let created = try node.json("create", "web", "--image", "minimal", "--", "sleep", "100000")
      #expect(created.keys == Self.summary)
      try node.create("idle", "--no-start")
      for slice in try node.json("list").array ?? [] {
        #expect(slice.keys == Self.summary)
        #expect(slice["lease"] == .null)
        #expect(slice["owner"] == .string("root"))
      }
      #expect(try node.json("list").array?.count == 2)
      for verb in ["stop", "start", "pause", "resume", "restart"] {
        let slices = try #require(try node.json(verb, "web").array)
        #expect(slices.map(\.keys) == [Self.summary], "\(verb)")
      }
      #expect(try node.json("set", "web", "restart=always").keys == Self.summary)
      let idle = try node.json("list").array?.first { $0["name"] == .string("idle") }
      #expect(idle?["pid"] == .null)
      #expect(idle?["startedAt"] == .null)
    }
  }

  @Test func theOtherVerbsToo() throws {
    try withNode { node in
      try node.create("web")
      #expect(
        try node.json("kill", "--signal", "WINCH", "web").array?.map(\.keys) == [
          ["name", "signal"]
        ])
      let waited = try node.slicectl("--json", "kill", "web")
      #expect(waited.status == 0)
      let wait = try node.slicectl("--json", "wait", "web")
      let value = try JSONValue(parsing: wait.outputBytes)
      #expect(value.keys == ["name", "exitCode", "signal", "reason"])
      #expect(value["exitCode"] == .null)
      #expect(value["signal"] == .integer(15))
      #expect(try node.json("destroy", "web").array == [.object(["name": .string("web")])])
      #expect(try node.json("stop-all").keys == ["stopped"])
      #expect(try node.json("list") == .array([]))
    }
  }

  @Test func sharesHaveEveryFigure() throws {
    try withNode { node in
      try node.create("web")
      try node.create("idle", "--no-start")
      for slice in try node.json("shares").array ?? [] {
        #expect(slice.keys == Self.shares.union(["name", "owner", "state"]))
        Self.expectFigures(slice)
      }
      let usage = try node.inspect("web")["usage"]
      #expect(usage.keys == Self.shares)
      Self.expectFigures(usage)
      let tree = try node.json("shares", "--tree").array ?? []
      #expect(tree.allSatisfy { $0.keys.isSuperset(of: ["children", "moreChildren"]) })
      let metrics = try node.json("metrics")
      #expect(metrics.keys == ["slices", "node"])
      #expect(
        metrics["node"].keys == [
          "clockSeconds", "slices", "cpu", "memory", "io", "pids", "net", "pressure",
        ])
      #expect(metrics["node"]["slices"]["running"] == .integer(1))
      let one = try node.json("shares", "web").array ?? []
      #expect(one.count == 1)
      #expect(one.first?["cpu"]["share"] == .integer(1) || one.first?["cpu"]["share"] == .number(1))
    }
  }

  private static let shares: Set<String> = [
    "cpu", "memory", "pids", "io", "disk", "net", "pressure",
  ]

  private static func expectFigures(_ slice: JSONValue) {
    #expect(
      slice["cpu"].keys == [
        "weight", "share", "maxCores", "usageSeconds", "usageCores", "throttledSeconds", "periods",
        "throttledPeriods",
      ])
    #expect(
      slice["memory"].keys == [
        "minBytes", "lowBytes", "highBytes", "maxBytes", "currentBytes", "peakBytes", "swapBytes",
        "swapMaxBytes", "oomKills",
      ])
    #expect(slice["pids"].keys == ["max", "current"])
    #expect(
      slice["io"].keys == [
        "weight", "share", "readBytes", "writtenBytes", "readOperations", "writtenOperations",
      ])
    #expect(slice["disk"].keys == ["maxBytes", "usedBytes"])
    #expect(
      slice["net"].keys == [
        "weight", "share", "minBitsPerSecond", "maxBitsPerSecond", "inMaxBitsPerSecond",
        "sentBytes", "receivedBytes", "sentPackets", "receivedPackets", "droppedPackets",
        "sentDroppedPackets", "sentDroppedBytes", "receivedDroppedPackets", "receivedDroppedBytes",
        "drops",
      ])
    #expect(
      slice["pressure"].keys == ["cpu", "memory", "io", "cpuSeconds", "memorySeconds", "ioSeconds"])
  }

  @Test func inspectTellsAllThatWasAsked() throws {
    try withNode { node in
      try node.succeed(
        "create", "web", "--image", "minimal", "--env", "A=b", "--user", "1000", "--workdir",
        "/tmp",
        "--restart", "on-failure", "--set", "pids.max=50", "--", "sleep", "100000")
      let web = try node.inspect("web")
      #expect(web["environment"] == .array([.string("A=b")]))
      #expect(web["user"] == .string("1000"))
      #expect(web["workdir"] == .string("/tmp"))
      #expect(web["restart"] == .string("on-failure"))
      #expect(web["settings"]["pids.max"] == .string("50"))
      #expect(web["command"] == .array(["sleep", "100000"].map(JSONValue.string)))
      #expect(web["image"]["name"] == .string("minimal"))
      #expect(web["service"]["state"].string != nil)
      #expect(web["unenforced"] == .array(Host.hasController("pids") ? [] : [.string("pids.max")]))
      for key in Key.allCases { #expect(web["settings"].keys.contains(key.rawValue)) }
    }
  }

  @Test func imagesHaveEveryKey() throws {
    try withNode { node in
      let images = try node.json("image", "list").array ?? []
      #expect(images.compactMap { $0["name"].string }.sorted() == ["host", "minimal"])
      let keys: Set<String> = [
        "name", "digest", "kind", "sizeBytes", "entries", "importedAt", "owner", "command",
        "usedBy",
      ]
      for image in images { #expect(image.keys == keys) }
      #expect(try node.json("image", "inspect", "minimal").keys == keys)
    }
  }

  @Test func errorsAreObjectsToo() throws {
    try withNode { node in
      let result = try node.slicectl("--json", "inspect", "missing")
      #expect(result.status == 3)
      let error = try JSONValue(parsing: result.errorBytes)["error"]
      #expect(error.keys == ["code", "message", "hint"])
      #expect(error["code"] == .string("NoSuchSlice"))
      #expect(result.outputBytes.isEmpty)
    }
  }

  @Test func quietPrintsNoMoreThanNames() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "minimal", "--quiet", "--", "sleep", "9999")
      #expect(try node.succeed("list", "--quiet") == "web\n")
    }
  }

  @Test func helpAndVersionNeedNoSupervisor() throws {
    let slicectl = Host.programs + "/slicectl"
    let help = try Command.run([slicectl, "--help"])
    #expect(help.status == 0)
    for verb in [
      "create", "enter", "exec", "start", "stop", "restart", "kill", "pause", "resume", "destroy",
      "set", "list", "inspect", "logs", "events", "wait", "shares", "top", "metrics", "image",
      "doctor", "stop-all", "overlay", "capture", "traffic",
    ] {
      #expect(help.output.contains(verb), "\(verb)")
      #expect(try Command.run([slicectl, verb, "--help"]).status == 0, "\(verb)")
    }
    #expect(try Command.run([slicectl, "--version"]).status == 0)
    for shell in ["bash", "zsh", "fish"] {
      let script = try Command.run([slicectl, "--generate-completion-script", shell])
      #expect(script.status == 0 && script.output.contains("slicectl"))
    }
  }
}
