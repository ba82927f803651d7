import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// `shares`, `top` and `metrics` of real slices.
@Suite(.requiresSlices, .timeLimit(.minutes(3))) struct LookingTests {
  /// Escape sequences of `top`, as it writes them.
  private enum Sequence {
    static let enter = "\u{1B}[?1049h\u{1B}[?25l"
    static let leave = "\u{1B}[?25h\u{1B}[?1049l"
  }

  // MARK: - shares

  @Test func sharesAreThoseOfTheSlicesThatCompete() throws {
    try withNode { node in
      for (name, weight) in [("one", 100), ("two", 300), ("other", 600)] {
        try node.create(name, "--set", "cpu.weight=\(weight)", "--allow-unenforced")
      }
      try node.succeed("pause", "other")
      func shares() throws -> [String: Double?] {
        let slices = try node.json("shares").array ?? []
        return Dictionary(
          uniqueKeysWithValues: slices.map { ($0["name"].string ?? "", $0["cpu"]["share"].number) })
      }
      #expect(try shares() == ["one": 0.25, "two": 0.75, "other": nil])
      try node.succeed("resume", "other")
      #expect(try shares() == ["one": 0.1, "two": 0.3, "other": 0.6])
      try node.succeed("stop", "--timeout", "1", "two", "other")
      #expect(try shares() == ["one": 1, "two": nil, "other": nil])
    }
  }

  @Test func sortsAndTotals() throws {
    try withNode { node in
      try node.create("quiet")
      try node.create("busy", command: ["sh", "-c", "while :; do :; done"])
      usleep(500_000)
      let lines = try node.succeed("shares", "--sort", "cpu").split(separator: "\n")
      #expect(lines.map { $0.prefix { $0 != " " } } == ["NAME", "busy", "quiet", "TOTAL"])
      #expect(try node.slicectl("shares", "--sort", "size").status == 2)
      let names = try node.json("shares", "--sort", "name").array?.compactMap { $0["name"].string }
      #expect(names == ["busy", "quiet"])
      #expect(!(try node.succeed("shares", "busy").contains("TOTAL")))
    }
  }

  @Test func whatASliceSendsIsCounted() throws {
    try withNode { node in
      try node.create("web")
      try node.create("db")
      let db4 = try #require(try node.inspect("db")["network"]["ipv4"].string)
      // Nobody listens there: one packet out, one back. Not by wget, see `NetworkTests.get`.
      _ = try node.shell("web", "for i in 1 2 3; do nc -w 2 \(db4) 9 </dev/null; done; true")
      let slices = try node.json("shares").array ?? []
      let (db, web) = (slices[0], slices[1])
      #expect(web["net"]["sentPackets"].integer ?? 0 >= 3)
      #expect(db["net"]["receivedPackets"].integer ?? 0 >= 3)
      // One is read on its own, all by one request.
      let alone = try node.json("shares", "web").array?.first
      #expect(alone?["net"]["sentPackets"].integer ?? 0 >= 3)
      let total = try node.json("metrics")["node"]["net"]["sentPackets"].integer ?? 0
      #expect(total >= web["net"]["sentPackets"].integer ?? 0)
    }
  }

  @Test func hostileCgroupsInsideASlice() throws {
    try withNode { node in
      try node.create("web")
      let directory = node.cgroup + "/web/slice/"
      // As the slice could name them by mkdir(2).
      let names = [
        "plain", "\u{1B}[2J\u{1B}]0;x\u{7}", "..x", "\u{202E}gpj",
        String(repeating: "w", count: 200),
      ]
      for name in names { #expect(mkdir(directory + name, 0o755) == 0) }
      #expect(mkdir(directory + "plain/below", 0o755) == 0)
      let notUTF8 = Array((directory + "bad").utf8CString.dropLast()) + [-1, 0]
      #expect(mkdir(notUTF8, 0o755) == 0)
      let text = try node.succeed("shares", "--tree")
      #expect(text.contains("├ plain") && text.contains("│ └ below"))
      #expect(text.contains(#"\u{1b}[2J"#))
      #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F || $0 == "\n" })
      #expect(!text.contains("\u{202E}"))
      let web = try node.json("shares", "--tree").array?.first
      #expect(web?["children"].array?.count == 6)
      #expect(web?["moreChildren"] == .integer(0))
      for number in 0..<150 { #expect(mkdir(directory + "many-\(number)", 0o755) == 0) }
      let bounded = try node.json("shares", "--tree").array?.first
      #expect(bounded?["moreChildren"] == .integer(57))
      #expect(try node.succeed("shares", "--tree").contains("└ … 57 more"))
      try node.succeed("destroy", "--force", "web")
    }
  }

  // MARK: - metrics

  @Test(.requiresProgram("/usr/bin/promtool")) func metricsAreWhatPromtoolTakes() throws {
    try withNode { node in
      try node.create("web", "--set", "memory.max=64M", "--allow-unenforced")
      try node.create("idle", "--no-start")
      let text = try node.succeed("metrics")
      let checked = try Command.run(["promtool", "check", "metrics"], input: Array(text.utf8))
      #expect(checked.status == 0 && checked.output.isEmpty && checked.errors.isEmpty, "\(checked)")
      #expect(text.contains("slice_memory_max_bytes{slice=\"web\",owner=\"root\"} 67108864\n"))
      #expect(text.contains("slice_running{slice=\"idle\",owner=\"root\"} 0\n"))
      #expect(text.contains("\nslices_node_slices 2\n"))
      #expect(text.hasSuffix("\n# EOF\n"))
    }
  }

  @Test func ownersSeeTheirOwn() throws {
    try withNode { node in
      try node.succeed(
        "create", "mine", "--image", "minimal", "--", "sleep", "100000", as: .alice)
      try node.create("roots")
      let text = try node.succeed("metrics", as: .alice)
      #expect(text.contains("slice=\"mine\""))
      #expect(!text.contains("roots"))
      #expect(try node.succeed("metrics").contains("slice=\"mine\",owner=\"4242\""))
      #expect(!(try node.succeed("top", "-n", "1", "-d", "100ms", as: .alice).contains("roots")))
    }
  }

  // MARK: - top

  @Test func topWithoutATerminalPrintsTables() throws {
    try withNode { node in
      try node.create("quiet")
      try node.create("busy", command: ["sh", "-c", "while :; do :; done"])
      let text = try node.succeed("top", "-n", "2", "-d", "1s")
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(lines.count == 10)
      #expect(lines[0].hasPrefix("NAME") && lines[5].hasPrefix("NAME"))
      #expect(lines[6].hasPrefix("busy"))
      let json = try node.succeed("top", "--json", "-n", "2", "-d", "1s").split(separator: "\n")
      #expect(json.count == 2)
      let cores = try JSONValue(parsing: json[1].utf8).array?.first?["cpu"]["usageCores"].number
      #expect((0.2...1.1).contains(cores ?? 0), "\(cores ?? -1) cores")
      #expect(try node.slicectl("top", "-n", "0").status == 2)
      #expect(try node.slicectl("top", "-d", "1ms").status == 2)
    }
  }

  @Test func topOnATerminal() throws {
    try withNode { node in
      for number in 10..<40 { try node.create("s\(number)", "--no-start") }
      let top = try Terminal(
        node.slicectlCommand(["top", "--sort", "name", "-d", "1s"]), rows: 24, columns: 80)
      let modes = top.modes
      try top.expect(Sequence.enter)
      try top.expect("rows 1-18 of 30")
      #expect(top.modes != modes)
      // Down, and by a page; the window then shows it all.
      top.type("\u{1B}[B\u{1B}[6~")
      try top.expect("rows 13-30 of 30")
      top.resize(rows: 50, columns: 132)
      let wide = try top.expect("sorted by name")
      #expect(wide.contains("s10") && wide.contains("s39"))
      #expect(wide.split(separator: "\r\n").allSatisfy { $0.count < 150 })
      top.type("m")
      try top.expect("sorted by memory")
      top.type("?")
      try top.expect("back to the shell")
      top.type("x")
      try top.expect("sorted by memory")
      top.type("q")
      try top.expect(Sequence.leave)
      #expect(try top.end() == 0)
      #expect(top.modes == modes)
    }
  }

  @Test(arguments: ["\u{3}", nil] as [String?]) func interruptsRestoreTheTerminal(key: String?)
    throws
  {
    try withNode { node in
      let top = try Terminal(node.slicectlCommand(["top"]))
      let modes = top.modes
      try top.expect("q quit")
      if let key { top.type(key) } else { top.signal(SIGTERM) }
      try top.expect(Sequence.leave)
      #expect(try top.end() == (key == nil ? 143 : 130))
      #expect(top.modes == modes)
    }
  }

  @Test func suspendingGivesTheTerminalBack() throws {
    try withNode { node in
      let shell = try Terminal(["bash", "--norc", "-i"], environment: ["PS1=prompt# "])
      try shell.expect("prompt# ")
      shell.type(node.slicectlCommand(["top"]).map { "'\($0)'" }.joined(separator: " ") + "\r")
      try shell.expect("q quit")
      shell.type("\u{1A}")
      try shell.expect(Sequence.leave)
      try shell.expect("Stopped")
      try shell.expect("prompt# ")
      shell.type("fg\r")
      try shell.expect(Sequence.enter)
      try shell.expect("q quit")
      shell.type("q")
      try shell.expect("prompt# ")
    }
  }

  @Test func topWaitsForASupervisorThatIsGone() throws {
    try withNode { node in
      try node.create("web")
      let top = try Terminal(node.slicectlCommand(["top", "-d", "200ms"]))
      try top.expect("q quit")
      node.stopSupervisor()
      try top.expect("no answer: no supervisor listens")
      try node.startSupervisor()
      try top.expect("sorted by cpu")
      top.type("q")
      #expect(try top.end() == 0)
    }
  }

  @Test func colourIsOnlyForThoseWhoWantIt() throws {
    try withNode { node in
      let top = try Terminal(node.slicectlCommand(["top"]), environment: ["NO_COLOR=1"])
      let first = try top.expect("q quit")
      #expect(!first.contains("\u{1B}[2m") && !first.contains("\u{1B}[3"))
      top.type("q")
      #expect(try top.end() == 0)
    }
  }
}
