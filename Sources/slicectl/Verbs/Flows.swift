import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct Flows: Verb {
  static let configuration = CommandConfiguration(
    abstract: "Show what slices sent to the outside: who, to whom, when and how much.",
    discussion: """
      A line for each slice, destination, protocol and ports, every ten seconds. Ports and addresses \
      are as they are outside, after address translation: a complaint can be looked up as it comes. \
      What was too much to be counted in detail has dashes.

        slicectl flows --since 1h --to 192.0.2.7
        slicectl flows --since 2026-03-01T06:00:00Z --until 2026-03-01T07:00:00Z --port 40123
        slicectl flows --slice web --protocol udp --json
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Option(
    help: ArgumentHelp("From so long ago (10m) or that moment (RFC 3339) on.", valueName: "time"))
  var since: String?

  @Option(help: ArgumentHelp("Until then.", valueName: "time"))
  var until: String?

  @Option(help: ArgumentHelp("To this address or network.", valueName: "address[/length]"))
  var to: String?

  @Option(help: ArgumentHelp("With this port at either end.", valueName: "number"))
  var port: UInt16?

  @Option(
    help: ArgumentHelp("Of this slice; it may be gone.", valueName: "name"),
    completion: Completions.slices)
  var slice: String?

  @Option(
    help: ArgumentHelp("tcp, udp, icmp, icmp6, or a number.", valueName: "name"),
    completion: .list(FlowReport.protocols.map(\.name)))
  var `protocol`: String?

  var operation: String { "flows" }

  func perform() throws {
    let number = try `protocol`.map { text throws(SliceError) in
      guard
        let number = FlowReport.protocols.first(where: { $0.name == text })?.number ?? UInt8(text)
      else {
        throw SliceError(
          .usage, "'\(text.escapedForTerminal)' is not a protocol",
          hint: "one of " + FlowReport.protocols.map(\.name).joined(separator: ", ")
            + ", or IANA's number")
      }
      return number
    }
    let parameters = FlowsCall.Parameters(
      sinceUnixSeconds: try since.map { try Timestamp(ago: $0, before: .now).unixSeconds },
      untilUnixSeconds: try until.map { try Timestamp(ago: $0, before: .now).unixSeconds },
      to: to, port: port, slice: slice, protocol: number)
    var collected: [JSONValue] = []
    var isFirst = true
    let beside = try supervisor.flows(parameters) { flows in
      if global.json {
        collected += flows.map { FlowReport(flow: $0).json }
        return
      }
      if isFirst, !flows.isEmpty, !global.quiet {
        StandardOutput.write(FlowReport.title + "\n")
        isFirst = false
      }
      flows.map(FlowReport.init).forEach(output.printNext)
    }
    if global.json { output.printWhole(.array(collected)) }
    warn(beside.uncertain, beside.lostRecords)
  }

  private func warn(_ uncertain: [String: UInt64], _ lost: UInt64) {
    guard !global.quiet else { return }
    let errors = ErrorOutput(isJSON: false)
    if !uncertain.isEmpty {
      let slices = uncertain.sorted { $0.value > $1.value }.map {
        "\($0.key.escapedForTerminal) (\($0.value) packets)"
      }
      errors.write(
        "of these, more may be what was asked for, counted without ports or address: "
          + slices.joined(separator: ", ") + "\n")
    }
    if lost > 0 { errors.write("\(lost) records could not be written and are lost\n") }
  }
}
