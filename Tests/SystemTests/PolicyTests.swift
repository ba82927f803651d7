import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What the node's policy gives to whom.
@Suite(.requiresSlices) struct PolicyTests {
  private func policy(_ text: String) -> TestNode.Options { TestNode.Options(policy: text) }

  private static let minimal = ["--image", "minimal", "--no-start"]

  /// The sum of memory.min over all slices, in bytes.
  private func floors(_ node: TestNode) throws -> Int64 {
    let names = try node.json("list").array?.compactMap { $0["name"].string } ?? []
    return try names.reduce(0) { sum, name in
      let text = try node.inspect(name)["settings"]["memory.min"].string
      return sum + Int64(text.flatMap { ByteSize($0)?.bytes } ?? 0)
    }
  }

  // MARK: - Floors

  @Test(.timeLimit(.minutes(5))) func aHundredParallelCreationsNeverExceedTheNode() throws {
    try withNode(policy("[total]\nmemory = \"1G\"\n")) { node in
      // Each owner has 32 connections at most: fifty at a time.
      var statuses: [Int32] = []
      for batch in 0..<2 {
        let creations = try (0..<50).map { number in
          try node.start(
            "create", "s\(batch)-\(number)", "--image", "minimal", "--no-start", "--set",
            "memory.min=60M", as: number.isMultiple(of: 2) ? .alice : .bob)
        }
        for creation in creations {
          let result = creation.wait(seconds: 120)
          statuses.append(result.status)
          #expect([0, 4].contains(result.status), "\(result)")
          if result.status == 4 {
            #expect(result.errors.contains("memory.min=60M: this node can promise 1G"))
            #expect(result.errors.contains("left"))
          }
        }
      }
      // 17 times 60M is 1020M: no floor is lost, and none given twice.
      #expect(statuses.count { $0 == 0 } == 17)
      #expect(try floors(node) == 17 * 60 << 20)
      // What is given back can be had again, and no more.
      let names = try node.json("list").array?.compactMap { $0["name"].string } ?? []
      try node.succeed("destroy", try #require(names.first))
      try node.create("again", "--no-start", "--set", "memory.min=64M")
      let full = try node.slicectl(
        ["create", "more", "--set", "memory.min=1M"] + Self.minimal)
      #expect(full.fails(4, "memory.min=1M", "0 is left"), "\(full)")
    }
  }

  @Test func aCreationThatFailsGivesItsPartBack() throws {
    try withNode(policy("[total]\nmemory = \"1G\"\n")) { node in
      for _ in 0..<3 {
        let result = try node.slicectl(
          "create", "web", "--image", "minimal", "--set", "memory.min=600M", "--", "/missing")
        #expect(result.status == 127, "\(result)")
      }
      try node.create("web", "--set", "memory.min=1G")
    }
  }

  /// One owner grows what they have while another makes new slices.
  @Test(.timeLimit(.minutes(5))) func changesAndCreationsRaceForTheSameFloor() throws {
    try withNode(policy("[total]\nmemory = \"512M\"\n")) { node in
      try node.succeed(
        "create", "hers", "--image", "minimal", "--set", "memory.min=1M", "--", "sleep", "100000",
        as: .alice)
      for round in 0..<5 {
        var attempts: [BackgroundCommand] = []
        for number in 0..<6 {
          attempts.append(
            try node.start(
              "set", "hers", "memory.min=\(number.isMultiple(of: 2) ? 400 : 1)M", as: .alice))
          attempts.append(
            try node.start(
              "create", "his-\(round)-\(number)", "--image", "minimal", "--no-start", "--set",
              "memory.min=100M", as: .bob))
        }
        for attempt in attempts {
          let result = attempt.wait(seconds: 60)
          #expect([0, 4].contains(result.status), "\(result)")
        }
        #expect(try floors(node) <= 512 << 20)
        let his = try node.json("list", as: .bob).array?.compactMap { $0["name"].string } ?? []
        if !his.isEmpty {
          #expect(try node.slicectl(["destroy"] + his, as: .bob).status == 0)
        }
        try node.succeed("set", "hers", "memory.min=1M", as: .alice)
      }
    }
  }

  // MARK: - Bounds of owners

  private static let bounds = """
    admin-group = "staff"
    [total]
    memory = "4G"
    [owners."*"]
    slices = 2
    cpu.weight = 300
    memory.min = "64M"
    memory.max = "1G"
    images = ["minimal", "web-*"]
    lease = "1d"
    [owners."4243"]
    memory.max = "100M"

    """

  @Test func eachBoundRefusesAndSaysWhatIsLeft() throws {
    try withNode(policy(Self.bounds)) { node in
      func create(_ name: String, _ sets: [String], as user: TestUser = .alice) throws
        -> CommandResult
      {
        try node.slicectl(
          ["create", name] + Self.minimal + sets.flatMap { ["--set", $0] }, as: user)
      }
      #expect(try create("a", ["memory.max=700M", "cpu.weight=200"]).status == 0)
      let refused: [([String], [String])] = [
        (
          [], ["memory.max is not set", "1G in all", "324M is still left", "memory.max=324M would"]
        ),
        (["memory.max=400M"], ["memory.max=400M", "324M is still left"]),
        (["memory.max=100M", "cpu.weight=101"], ["cpu.weight=101", "300 in all", "100 is"]),
        (["memory.max=100M", "memory.min=65M"], ["memory.min=65M", "64M in all"]),
        (["memory.max=100M", "lease=2d"], ["lease=2d", "1d at most"]),
      ]
      for (sets, words) in refused {
        let result = try create("b", sets)
        #expect(result.status == 4, "\(result)")
        for word in words { #expect(result.errors.contains(word), "\(sets): \(result)") }
      }
      let image = try node.slicectl("create", "b", "--set", "memory.max=1M", as: .alice)
      #expect(image.fails(4, "image 'host'", "minimal, web-*"), "\(image)")
      // By set neither; what is given up can be had again.
      for change in ["memory.max=2G", "memory.max=", "cpu.weight=301", "lease=2d", "memory.min=1G"]
      {
        let result = try node.slicectl("set", "a", change, as: .alice)
        #expect([2, 4].contains(result.status), "\(change): \(result)")
      }
      #expect(try node.inspect("a")["settings"]["memory.max"] == .string("700M"))
      #expect(try create("b", ["memory.max=324M"]).status == 0)
      let third = try create("c", ["memory.max=1M", "cpu.weight=1"])
      #expect(third.fails(4, "slices: you may have 2, and have 2"), "\(third)")
      // Others have bounds of their own, and administrators none.
      let his = try create("his", ["memory.max=101M"], as: .bob)
      #expect(his.fails(4, "100M in all"), "\(his)")
      #expect(try create("his", ["memory.max=100M"], as: .bob).status == 0)
      try node.create("roots", "--no-start", "--set", "memory.min=1G")
      try node.succeed("set", "a", "memory.max=2G")
    }
  }

  @Test func anOwnersLeaseIsGivenToASliceWithout() throws {
    try withNode(policy(Self.bounds)) { node in
      let result = try node.slicectl(
        ["create", "a", "--set", "memory.max=1M"] + Self.minimal, as: .alice)
      #expect(result.status == 0, "\(result)")
      #expect(try node.inspect("a")["settings"]["lease"] == .string("1d"))
      #expect(try node.json("list").array?.first?["lease"].string != nil)
      #expect(try node.slicectl("set", "a", "lease=", as: .alice).status == 0)
      #expect(try node.inspect("a")["settings"]["lease"] == .string("1d"))
    }
  }

  // MARK: - Defaults

  @Test func defaultsHoldWhereNothingIsSaid() throws {
    try withNode(policy("[defaults]\npids.max = 77\nmemory.max = \"64M\"\n")) { node in
      try node.create("web", "--set", "memory.max=128M")
      func setting(_ key: String) throws -> String? {
        try node.inspect("web")["settings"][key].string
      }
      #expect(try setting("pids.max") == "77")
      #expect(try setting("memory.max") == "128M")
      try node.succeed("set", "web", "pids.max=100", "memory.max=")
      #expect(try setting("pids.max") == "100")
      #expect(try setting("memory.max") == "64M")
      let result = try node.slicectl(["create", "x", "--set", "memory.min=65M"] + Self.minimal)
      #expect(result.fails(2, "above", "defaults", "memory.max=64M"), "\(result)")
    }
  }

  // MARK: - Processors

  @Test func processorsThatAreNotThereAreRefused() throws {
    try withNode { node in
      let online = HostFiles.lines("/sys/devices/system/cpu/online")[0]
      let result = try node.slicectl(["create", "x", "--set", "cpu.set=0,4000"] + Self.minimal)
      #expect(result.fails(2, "cpu.set=0,4000", online), "\(result)")
      try node.create("web")
      let change = try node.slicectl("set", "web", "cpu.set=4000")
      #expect(change.fails(2, "cpu.set=4000", online), "\(change)")
    }
  }

  // MARK: - Offers

  @Test func offersTellTheCallerAloneWhatIsTheirs() throws {
    try withNode(policy(Self.bounds)) { node in
      func make(_ name: String, _ user: TestUser) throws {
        let result = try node.slicectl(
          ["create", name, "--set", "memory.max=100M", "--set", "memory.min=20M"] + Self.minimal,
          as: user)
        #expect(result.status == 0, "\(result)")
      }
      try make("hers", .alice)
      try make("his", .bob)
      let hers = try node.json("offers", as: .alice)
      #expect(hers["slices"]["used"] == .integer(1))
      #expect(hers["slices"]["left"] == .integer(1))
      #expect(hers["slices"]["promised"] == .null)
      #expect(hers["memory"]["minBytes"]["promised"] == .integer(40 << 20))
      #expect(hers["memory"]["minBytes"]["used"] == .integer(20 << 20))
      #expect(hers["memory"]["minBytes"]["left"] == .integer(44 << 20))
      #expect(hers["memory"]["maxBytes"]["left"] == .integer(924 << 20))
      #expect(hers["memory"]["maxBytes"]["promised"] == .null)
      #expect(hers["images"] == .array([.string("minimal"), .string("web-*")]))
      #expect(hers["grants"] == .array([]))
      #expect(hers["lease"]["longest"] == .string("1d"))
      let his = try node.json("offers", as: .bob)
      #expect(his["memory"]["maxBytes"]["bound"] == .integer(100 << 20))
      #expect(his["memory"]["maxBytes"]["left"] == .integer(0))
      #expect(his["slices"]["bound"] == .null)
      let roots = try node.json("offers")
      #expect(roots["slices"]["promised"] == .integer(2))
      #expect(roots["memory"]["maxBytes"]["bound"] == .null)
      let text = try node.succeed("offers", as: .alice)
      #expect(text.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(text)")
      #expect(text.contains("memory.min") && text.contains("longest lease: 1d"), "\(text)")
    }
  }
}
