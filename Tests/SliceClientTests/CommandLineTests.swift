import Descriptor
import Glibc
import SliceModel
import Testing

@testable import SliceClient

/// The built `slicectl` against a fake supervisor.
@Suite(.serialized, .timeLimit(.minutes(2))) struct CommandLineTests {
  private let supervisor: FakeSupervisor
  private let files: TemporaryDirectory

  init() throws {
    supervisor = try FakeSupervisor()
    files = try TemporaryDirectory()
  }

  private static let program: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.split(separator: "/").dropLast().map { "/\($0)" }.joined() + "/slicectl"
  }()

  private struct Result {
    var status: Int32
    var output: String
    var errors: String
  }

  private func run(
    _ arguments: String..., input: String = "", socket: String? = nil, environment: [String] = [],
    whileRunning: (pid_t) -> Void = { _ in }
  ) throws -> Result {
    files.write("input", input)
    let pid = try ChildProcess.spawn(
      [Self.program, "--socket", socket ?? supervisor.socketPath] + arguments,
      environment: environment
    ) { actions in
      posix_spawn_file_actions_addopen(&actions, 0, files.path + "/input", O_RDONLY, 0)
      let flags = O_WRONLY | O_CREAT | O_TRUNC
      posix_spawn_file_actions_addopen(&actions, 1, files.path + "/output", flags, 0o600)
      posix_spawn_file_actions_addopen(&actions, 2, files.path + "/errors", flags, 0o600)
    }
    whileRunning(pid)
    let status = ChildProcess.wait(pid)
    return Result(status: status, output: files.read("output"), errors: files.read("errors"))
  }

  // MARK: Usage and errors

  @Test func wrongUsageEndsWith2() throws {
    let result = try run("create", "web", "--nonsense")
    #expect(result.status == 2)
    #expect(result.errors.contains("Unknown option '--nonsense'"))
    #expect(result.errors.contains("Usage: slicectl create"))
    #expect(result.output.isEmpty)
  }

  @Test func wrongUsageAsJSON() throws {
    let result = try run("create", "--json")
    #expect(result.status == 2)
    #expect(result.errors.hasPrefix(#"{"error":{"code":"Usage","hint":null,"message":"#))
  }

  @Test func badNamesAndKeysAreRefusedBeforeTheSupervisorIsAsked() throws {
    #expect(try run("create", "../x", "--", "a").status == 2)
    let result = try run("create", "web", "--set", "memory.mx=1")
    #expect(result.status == 2)
    #expect(result.errors.contains("create web: unknown key 'memory.mx'"))
    #expect(try run("set", "web", "cpu.weight=0").status == 2)
    #expect(try run("set", "web", "restart=often").status == 2)
    #expect(supervisor.created == nil)
  }

  @Test(arguments: [
    ("failed", 1), ("usage", 2), ("no-such-slice", 3), ("refused", 4), ("unenforceable", 5),
    ("timed-out", 7), ("crash", 6),
  ])
  func errorsGiveTheirStatus(slice: String, status: Int32) throws {
    let result = try run("inspect", slice)
    #expect(result.status == status)
    #expect(result.errors.hasPrefix("slicectl: inspect \(slice): "))
    #expect(result.errors.contains("\nhint: "))
  }

  @Test func errorsAsJSON() throws {
    let result = try run("--json", "inspect", "refused")
    #expect(result.status == 4)
    #expect(
      result.errors == #"{"error":{"code":"Refused","hint":"the hint","#
        + #""message":"inspect refused: the message"}}"# + "\n")
  }

  @Test func withoutSupervisor() throws {
    let result = try run("list", socket: "/tmp/no-such-socket")
    #expect(result.status == 6)
    #expect(result.errors.contains("no supervisor listens at /tmp/no-such-socket"))
    #expect(result.errors.contains("systemctl start sliced"))
  }

  @Test func versionAndHelp() throws {
    #expect(try run("--version").output == "slicectl \(Version.text)\n")
    let help = try run("create", "--help")
    #expect(help.status == 0)
    #expect(help.output.contains("slicectl create web --image host"))
  }

  // MARK: Verbs

  @Test func createSendsWhatWasAsked() throws {
    files.write(
      "slice.toml",
      """
      image = "debian"
      env = { A = "1", B = "2" }
      [cpu]
      weight = 200
      """)
    let result = try run(
      "create", "web", "--file", files.path + "/slice.toml", "--set", "cpu.weight=50", "--env",
      "A=3", "--restart", "always", "--no-start", "--", "serve", "--port", "1")
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.hasPrefix("web: created at 172.31.128.2\n"))
    let created = try #require(supervisor.created)
    #expect(created.start == false)
    #expect(created.spec.image == "debian")
    #expect(created.spec.command == ["serve", "--port", "1"])
    #expect(created.spec.environment.sorted() == ["A=3", "B=2"])
    #expect(created.spec.restart == .always)
    #expect(created.spec.settings.texts == ["cpu.weight": "50"])
  }

  @Test func errorsInAFileHaveTheirPlace() throws {
    files.write("slice.toml", "image = \"host\"\nnonsense = 1\n")
    let result = try run("create", "web", "--file", files.path + "/slice.toml")
    #expect(result.status == 2)
    #expect(result.errors.contains("slice.toml:2:"))
  }

  @Test func listForPeopleNamesAndPrograms() throws {
    let lines = try run("list").output.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines[0].hasPrefix("NAME   STATE"))
    #expect(lines[2].hasPrefix("web    running  alice  host   172.31.128.2  -"))
    #expect(try run("list", "--quiet").output == "cache\nweb\n")
    let json = try run("list", "--json").output
    #expect(json.hasPrefix(#"[{"createdAt":"2026-01-01T00:00:00Z","image":"host","#))
    #expect(json.contains(#""pid":null"#))
    #expect(json.hasSuffix("]\n"))
  }

  @Test func severalSlicesGoOnAfterAFailure() throws {
    let result = try run("stop", "web", "no-such-slice", "refused", "cache")
    #expect(result.status == 3)
    #expect(result.output == "web: stopped at 172.31.128.2\ncache: stopped at 172.31.128.2\n")
    #expect(result.errors.contains("stop no-such-slice: the message"))
    #expect(result.errors.contains("stop refused: the message"))
  }

  @Test func killKnowsSignals() throws {
    #expect(try run("kill", "--signal", "sighup", "web").output == "web: sent HUP\n")
    #expect(try run("kill", "--signal", "nonsense", "web").status == 2)
  }

  @Test func waitGivesTheServicesStatus() throws {
    let result = try run("wait", "web", "--json")
    #expect(result.status == 3)
    #expect(result.output == #"{"exitCode":3,"name":"web","reason":null,"signal":null}"# + "\n")
  }

  @Test func logsKeepTheStreamsApart() throws {
    let result = try run("logs", "web", "--since", "10m", "-n", "5")
    #expect((result.output, result.errors) == ("out\n", "err\n"))
    let json = try run("logs", "web", "--json").output
    #expect(json.hasPrefix(#"[{"partial":false,"stream":"stdout","text":"out","#))
  }

  @Test func aReaderThatGoesAwayEndsItQuietly() throws {
    let socket = supervisor.socketPath
    files.write("script", "'\(Self.program)' --socket '\(socket)' list | true; true")
    let pid = try ChildProcess.spawn(["sh", files.path + "/script"]) { actions in
      posix_spawn_file_actions_addopen(
        &actions, 2, files.path + "/errors", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    }
    #expect(ChildProcess.wait(pid) == 0)
    #expect(files.read("errors").isEmpty)
  }

  @Test func shellsAreOfferedTheNamesOfSlices() throws {
    let line = ["slicectl", "--socket", supervisor.socketPath, "stop", ""]
    let pid = try ChildProcess.spawn(
      [Self.program, "---completion", "stop", "--", "positional@0", "4", "0"] + line
    ) { actions in
      let flags = O_WRONLY | O_CREAT | O_TRUNC
      posix_spawn_file_actions_addopen(&actions, 1, files.path + "/output", flags, 0o600)
    }
    #expect(ChildProcess.wait(pid) == 0)
    #expect(files.read("output") == "cache\nweb\n")
  }

  // MARK: Commands inside

  @Test func execPassesItsStreams() throws {
    let result = try run(
      "exec", "web", "-i", "--", "sh", "-c", "cat; echo err >&2; exit 7", input: "in\n")
    #expect(result.status == 7)
    #expect((result.output, result.errors) == ("in\n", "err\n"))
  }

  @Test func execReadsNothingUnlessAsked() throws {
    #expect(try run("exec", "web", "--", "cat", input: "in\n").output.isEmpty)
  }

  @Test func execTellsTheSignal() throws {
    #expect(try run("exec", "web", "--", "sh", "-c", "kill -9 $$").status == 137)
  }

  @Test func execPassesSignalsOn() throws {
    let script = "trap 'echo got; exit 5' USR1; echo ready; while :; do sleep 0.01; done"
    let result = try run("exec", "web", "--", "sh", "-c", script) { pid in
      while !files.read("output").contains("ready") { usleep(1000) }
      kill(pid, SIGUSR1)
    }
    #expect(result.status == 5)
    #expect(result.output == "ready\ngot\n")
  }

  @Test func execWithATerminalNeedsOne() throws {
    let result = try run("exec", "web", "-t", "--", "true")
    #expect(result.status == 2)
    #expect(result.errors.contains("not a terminal"))
  }

  @Test func enterReadsAScript() throws {
    #expect(try run("enter", "web", input: "echo $((6 * 7)); exit 4\n").output == "42\n")
  }

  @Test func execNeverPassesATerminalOn() throws {
    let terminal = try PseudoTerminal(rows: 24, columns: 80)
    let pid = try ChildProcess.spawn(
      [
        Self.program, "--socket", supervisor.socketPath, "exec", "web", "-i", "--", "sh", "-c",
        "tty; read line; echo \"got $line\"; exit 3",
      ], ownSession: true, onTerminal: terminal.path)
    #expect(terminal.read(until: "not a tty").contains("not a tty"))
    terminal.type("hello\n")
    #expect(terminal.read(until: "got hello").contains("got hello"))
    #expect(ChildProcess.wait(pid) == 3)
  }

  @Test func enterOnATerminal() throws {
    let terminal = try PseudoTerminal(rows: 30, columns: 100)
    let pid = try ChildProcess.spawn(
      [Self.program, "--socket", supervisor.socketPath, "enter", "web"],
      environment: ["TERM=vt100"], ownSession: true, onTerminal: terminal.path)
    _ = terminal.read(until: "# ")
    #expect(!terminal.isCooked)
    terminal.type("stty size; echo $TERM-\n")
    #expect(terminal.read(until: "vt100-").contains("30 100"))
    terminal.resize(rows: 40, columns: 120)
    terminal.type("sleep 0.2; stty size\n")
    #expect(terminal.read(until: "40 120").contains("40 120"))
    // Ctrl-C goes inside: the shell's foreground job ends, not the session.
    terminal.type("sleep 60\n")
    usleep(200_000)
    terminal.type("\u{3}")
    terminal.type("echo status $?\n")
    #expect(terminal.read(until: "status 130").contains("status 130"))
    terminal.type("exit 9\n")
    #expect(ChildProcess.wait(pid) == 9)
    #expect(terminal.isCooked)
  }

  @Test(arguments: [SIGTERM, SIGHUP, SIGSEGV])
  func theTerminalIsRestoredWhenASignalEndsIt(signal: Int32) throws {
    let terminal = try PseudoTerminal(rows: 24, columns: 80)
    let pid = try ChildProcess.spawn(
      [Self.program, "--socket", supervisor.socketPath, "enter", "web"], ownSession: true,
      onTerminal: terminal.path)
    _ = terminal.read(until: "# ")
    #expect(!terminal.isCooked)
    kill(pid, signal)
    #expect(ChildProcess.wait(pid) == 128 + signal)
    #expect(terminal.isCooked)
  }

  // MARK: Images

  @Test func importsADirectory() throws {
    files.write("file", String(repeating: "x", count: 100_000))
    let result = try run("image", "import", files.path, "--name", "tree")
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.hasPrefix("tree: "))
    #expect(result.errors.isEmpty)
    #expect(supervisor.images["tree"] ?? 0 > 100_000)
  }

  @Test func showsProgressOnATerminalAndClearsIt() throws {
    let terminal = try PseudoTerminal(rows: 24, columns: 80)
    files.write("file", String(repeating: "x", count: 100_000))
    let pid = try ChildProcess.spawn(
      [
        Self.program, "image", "import", files.path, "--name", "tree", "--socket",
        supervisor.socketPath,
      ], ownSession: true, onTerminal: terminal.path)
    let seen = terminal.read(until: "to use it")
    #expect(ChildProcess.wait(pid) == 0)
    #expect(seen.contains("importing: "))
    #expect(seen.contains("\r\u{1B}[Ktree: "))
  }

  @Test func importsStandardInput() throws {
    #expect(try run("image", "import", "-", "--name", "piped", input: "archive").status == 0)
    #expect(supervisor.images["piped"] == 7)
    #expect(try run("image", "import", "-", input: "archive").status == 2)
  }

  @Test func aTreeThatTarCannotReadIsNotImported() throws {
    // Root reads everything: so a tar that complains at the end of a complete archive.
    files.write(
      "tar", "#!/bin/sh\n/usr/bin/tar \"$@\"\necho 'tar: ./x: Cannot open' >&2\nexit 2\n")
    chmod(files.path + "/tar", 0o700)
    let result = try run(
      "image", "import", files.path, "--name", "broken",
      environment: ["PATH=\(files.path):/usr/bin:/bin"])
    #expect(result.status == 1)
    #expect(result.errors.contains("cannot read it all: tar: ./x: Cannot open\nhint: "))
    usleep(100_000)
    #expect(supervisor.images["broken"] == nil)
  }

  @Test func ctrlCEndsAnImport() throws {
    #expect(mkfifo(files.path + "/fifo", 0o600) == 0)
    let fifo = open(files.path + "/fifo", O_RDWR | O_CLOEXEC)
    defer { close(fifo) }
    _ = write(fifo, "start", 5)
    let result = try run("image", "import", files.path + "/fifo", "--name", "half") { pid in
      usleep(300_000)
      kill(pid, SIGINT)
    }
    #expect(result.status == 130)
    usleep(100_000)
    #expect(supervisor.images["half"] == nil)
  }
}
