import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Commands inside: `exec`, and `enter` without a terminal.
@Suite(.requiresSlices) struct ExecTests {
  @Test func statusAndStreamsAreTheCommands() throws {
    try withNode { node in
      try node.create("web")
      let result = try node.slicectl(
        "exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
      #expect(result.status == 42)
      #expect(result.output == "out\n")
      #expect(result.errors == "err\n")
    }
  }

  @Test func aSignalledCommandGives128AndTheSignal() throws {
    try withNode { node in
      try node.create("web")
      let result = try node.slicectl("exec", "web", "--", "sh", "-c", "kill -KILL $$")
      #expect(result.status == 128 + SIGKILL)
    }
  }

  @Test(arguments: zip(["/no/such", "/etc/passwd", "/tmp"], [Int32(127), 126, 126]))
  func whatCannotRunHasTheUsualStatus(command: String, status: Int32) throws {
    try withNode { node in
      try node.create("web")
      let result = try node.slicectl(["exec", "web", "--", command])
      #expect(result.fails(status, command), "\(result)")
    }
  }

  @Test func standardInputPassesOnlyWhenAsked() throws {
    try withNode { node in
      try node.create("web")
      #expect(try node.slicectl("exec", "web", "-i", "--", "cat", input: "hello").output == "hello")
      #expect(try node.slicectl("exec", "web", "--", "cat", input: "hello").output == "")
    }
  }

  @Test func muchDataPassesUnchanged() throws {
    try withNode { node in
      try node.create("web")
      let text = String(repeating: "0123456789abcde\n", count: 1 << 16)  // 1 MiB
      let result = try node.slicectl("exec", "web", "-i", "--", "cat", input: text)
      #expect(result.output == text)
    }
  }

  @Test func pipesWorkLikeFiles() throws {
    try withNode { node in
      try node.create("web")
      let slicectl = node.slicectlCommand(["exec", "web", "-i", "--", "wc", "-c"])
      let result = try Command.run(
        ["sh", "-c", "head -c 300000 /dev/zero | \"$@\" | cat", "sh"] + slicectl)
      #expect(result.output == "300000\n")
    }
  }

  @Test func userEnvironmentAndDirectoryAreAsAsked() throws {
    try withNode { node in
      try node.create("web", "--env", "COLOUR=blue")
      let user = try node.slicectl("exec", "web", "--user", "1234", "--", "id", "-u")
      #expect(user.output == "1234\n")
      let both = try node.slicectl("exec", "web", "--user", "1234:77", "--", "id", "-g")
      #expect(both.output == "77\n")
      let environment = try node.slicectl(
        "exec", "web", "--env", "SIZE=large", "--", "sh", "-c", "echo $COLOUR $SIZE")
      #expect(environment.output == "blue large\n")
      #expect(try node.slicectl("exec", "web", "--workdir", "/tmp", "--", "pwd").output == "/tmp\n")
      #expect(try node.execute("web", "pwd") == "/root")
    }
  }

  @Test func onlyTheUsersGroupsAreHeld() throws {
    try withNode { node in
      try node.create("web")
      let groups = try node.slicectl("exec", "web", "--user", "1234:77", "--", "id", "-G")
      #expect(groups.output == "77\n")
    }
  }

  @Test func badUsersAndDirectoriesAreErrors() throws {
    try withNode { node in
      try node.create("web")
      let user = try node.slicectl("exec", "web", "--user", "nobody-here", "--", "true")
      #expect(user.fails(125, "nobody-here"), "\(user)")
      for odd in ["70000", "-1", "4294967295", "4294967296", "0x0", ":", "1:2:3"] {
        let result = try node.slicectl("exec", "web", "--user=\(odd)", "--", "id", "-u")
        #expect(result.status != 0 && result.output.isEmpty, "user \(odd): \(result)")
      }
      let directory = try node.slicectl("exec", "web", "--workdir", "/missing", "--", "true")
      #expect(directory.fails(125, "/missing"), "\(directory)")
    }
  }

  @Test(arguments: [SIGTERM, SIGINT, SIGHUP, SIGUSR1])
  func signalsArePassedOn(signal: Int32) throws {
    try withNode { node in
      try node.create("web")
      let command = try node.start(
        "exec", "web", "--", "sh", "-c",
        "trap 'echo caught; exit 9' \(signal); echo ready; while :; do sleep 0.05; done")
      #expect(eventually { command.output.contains("ready") })
      command.signal(signal)
      let result = command.wait(seconds: 20)
      #expect(result.output.contains("caught"))
      #expect(result.status == 9)
    }
  }

  @Test func aClientThatIsKilledEndsItsCommand() throws {
    try withNode { node in
      try node.create("web")
      let command = try node.start("exec", "web", "--", "sh", "-c", "echo ready; sleep 7777")
      #expect(eventually { command.output.contains("ready") })
      command.signal(SIGKILL)
      _ = command.wait(seconds: 10)
      #expect(try eventually { try !node.execute("web", "ps").contains("sleep 7777") })
    }
  }

  @Test func enterWithoutATerminalReadsCommands() throws {
    try withNode { node in
      try node.create("web")
      let result = try node.slicectl("enter", "web", input: "hostname\nexit 5\n")
      #expect(result.output == "web\n")
      #expect(result.status == 5)
    }
  }

  @Test func aSliceThatDoesNotRunCannotBeEntered() throws {
    try withNode { node in
      try node.create("web", "--no-start")
      for verb in [["exec", "web", "--", "true"], ["enter", "web"]] {
        let result = try node.slicectl(verb)
        #expect(result.fails(125, "web", "not running", "start"), "\(result)")
      }
    }
  }

  /// Nothing inside a frozen slice would ever answer.
  @Test func aPausedSliceCannotBeEntered() throws {
    try withNode { node in
      try node.create("web")
      try node.succeed("pause", "web")
      for verb in [["exec", "web", "--", "true"], ["enter", "web"]] {
        let result = try node.slicectl(verb, timeout: 20)
        #expect(result.fails(125, "web", "paused", "resume"), "\(result)")
      }
    }
  }

  @Test func manyCommandsAtOnceKeepTheirOwnStreams() throws {
    try withNode { node in
      try node.create("web")
      let commands = try (0..<20).map { number in
        try node.start(
          "exec", "web", "-i", "--", "sh", "-c", "cat; exit \(number)", input: "in \(number)")
      }
      for (number, command) in commands.enumerated() {
        let result = command.wait(seconds: 60)
        #expect(result.output == "in \(number)")
        #expect(result.status == Int32(number))
      }
    }
  }
}
