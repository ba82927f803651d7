import ArgumentParser
import Descriptor
import Glibc
import SliceClient
import SliceInterface
import SliceModel

struct Capture: Verb {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "Capture a slice's own packets, in both directions.",
    discussion: """
      Without -w a line for each packet; with it pcapng, for Wireshark's tools and tcpdump. Ends with \
      Ctrl-C, --count or --duration, and says how many packets were captured and how many the kernel \
      dropped because they were not read in time.

        slicectl capture web --filter 'tcp port 80'
        slicectl capture web -w web.pcapng --duration 10s
        slicectl capture web -w - | tshark -r -
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Option(
    name: [.customShort("w"), .long],
    help: ArgumentHelp("Where pcapng goes; '-' for standard output.", valueName: "file"),
    completion: .file())
  var write: String?

  @Option(
    help: ArgumentHelp(
      "Which packets, such as 'udp port 53 and not host 192.0.2.1'; see slicectl(1).",
      valueName: "expression"))
  var filter: String?

  @Option(
    name: [.customShort("i"), .long],
    help: ArgumentHelp("Which of its interfaces: an overlay has its name.", valueName: "name"))
  var interface = "eth0"

  @Option(help: ArgumentHelp("End after so many packets.", valueName: "number"))
  var count: UInt64?

  @Option(help: ArgumentHelp("End after this time, such as 10s.", valueName: "time"))
  var duration: String?

  @Option(help: ArgumentHelp("Keep so many bytes of each packet.", valueName: "bytes"))
  var snaplen: UInt32 = 65_536

  var operation: String { "capture \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    guard (1...65_536).contains(snaplen), count != 0 else {
      throw SliceError(.usage, "--snaplen is 1 to 65536 bytes, and --count at least 1")
    }
    let expression = try filter.map { (text) throws(SliceError) in
      try CaptureExpression(parsing: text)
    }
    let program = try CaptureProgram(expression, snapshot: snaplen)
    let limits = CaptureSession.Limits(
      packets: count, milliseconds: try duration.map(Self.milliseconds))
    let target = try write.map(PacketFile.init)
    let result = try CaptureSession(supervisor: supervisor).run(
      CaptureCall.Parameters(
        name: name.text, interface: interface, filter: program.instructions,
        snapshot: Int(snaplen)),
      limits,
      began: {
        if !global.quiet { ErrorOutput(isJSON: false).write("capturing; Ctrl-C ends it\n") }
      }
    ) { (block, bytes) throws(SliceError) in
      if let target { return try target.write(bytes) }
      if case .packet(let packet) = block, !global.json {
        StandardOutput.write(PacketLine.text(of: packet) + "\n")
      }
    }
    report(result)
  }

  private static func milliseconds(_ text: String) throws(SliceError) -> UInt64 {
    guard let span = TimeSpan(text), span.milliseconds > 0 else {
      throw SliceError(
        .usage, "'\(text.escapedForTerminal)' is not a time", hint: "such as 10s, 5m, 1h")
    }
    return span.milliseconds
  }

  /// Results are what was captured: the totals go to standard error, with --json to standard output.
  private func report(_ result: CaptureSession.Result) {
    if global.json, write != "-" {
      output.print(TotalsReport(result: result))
    } else if !global.quiet {
      ErrorOutput(isJSON: false).write(
        TotalsReport(result: result).lines.joined(separator: "\n") + "\n")
    }
  }
}

private struct TotalsReport: Report {
  let result: CaptureSession.Result

  var lines: [String] {
    guard let counts = result.counts else {
      return ["\(result.packets) packets captured; how many were dropped is not known"]
    }
    return ["\(result.packets) packets captured, \(counts.dropped) dropped by the kernel"]
  }

  func text(_ screen: Screen) -> [String] { lines }

  var json: JSONValue {
    .object([
      "packets": JSONValue(result.packets), "receivedPackets": JSONValue(result.counts?.received),
      "droppedPackets": JSONValue(result.counts?.dropped),
    ])
  }
}

/// Where pcapng goes: a file of the caller's, made anew, or standard output.
private final class PacketFile {
  private let descriptor: Int32
  private let path: String

  init(_ path: String) throws(SliceError) {
    self.path = path
    guard path != "-" else {
      descriptor = STDOUT_FILENO
      return
    }
    // Packets may hold what only their owner should see.
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw SliceError(SystemError(code: errno, operation: "open", subject: path))
    }
  }

  func write(_ bytes: ArraySlice<UInt8>) throws(SliceError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress!, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw SliceError(SystemError(code: errno, operation: "write", subject: path))
      }
      rest = rest.dropFirst(count)
    }
  }

  deinit { if descriptor != STDOUT_FILENO { close(descriptor) } }
}

extension SliceError {
  fileprivate init(_ error: SystemError) {
    self.init(
      .failed,
      "\(error.operation) \((error.subject ?? "").escapedForTerminal): \(error.explanation)")
  }
}
