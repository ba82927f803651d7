import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct Traffic: Verb {
  static let configuration = CommandConfiguration(
    commandName: "traffic",
    abstract: "Send measured traffic from a slice, or receive it there.",
    discussion: """
      Reports rate, loss, jitter (RFC 3550) and round trip times. It runs inside the slice, with no more \
      rights than any command there. For UDP the other end is a listener: in another slice, by --listen. \
      TCP goes to any port that reads; ICMP to whoever answers pings.

        slicectl traffic db --listen
        slicectl traffic web --to db --rate 10M --duration 5s
        slicectl traffic web --to 192.0.2.1 --protocol icmp --rate 10pps
      """)

  enum Carrier: String, ExpressibleByArgument, CaseIterable { case udp, tcp, icmp }

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The slice.", completion: Completions.slices)
  var name: String

  @Option(
    help: ArgumentHelp(
      "Where it goes: ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT, or the name of another slice.",
      valueName: "address"), completion: Completions.slices)
  var to: String?

  @Flag(help: "Receive, answer and report instead.")
  var listen = false

  @Option(help: "udp, tcp or icmp.")
  var `protocol` = Carrier.udp

  @Option(help: ArgumentHelp("The port, unless --to says it.", valueName: "port"))
  var port: UInt16 = 7777

  @Option(
    help: ArgumentHelp(
      "Bits a second of payload, such as 10M, or packets, such as 1000pps. (default: 1M for udp, 10pps for icmp, all that goes for tcp)",
      valueName: "rate"))
  var rate: String?

  @Option(
    help: ArgumentHelp("Bytes of each payload. (default: 1000; icmp 56)", valueName: "bytes"))
  var size: UInt32?

  @Option(
    help: ArgumentHelp(
      "How long, such as 5s. (default: 10s; with --listen until Ctrl-C)", valueName: "time"))
  var duration: String?

  var operation: String { "traffic \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    guard listen != (to != nil) else {
      throw SliceError(.usage, "give either --to or --listen")
    }
    var arguments = try listen ? listenArguments() : sendArguments()
    if global.json { arguments.append("--json") }
    let duration = try milliseconds(default: listen ? 0 : Self.usualDuration)
    throw exitCode(
      of: try CommandSession(supervisor: supervisor).run(
        "Traffic",
        TrafficCall.Parameters(
          name: name.text, arguments: arguments,
          // 0: until a signal comes.
          milliseconds: duration == 0 ? nil : duration + (listen ? 0 : Self.longestWaits)),
        input: .nothing))
  }

  /// Milliseconds.
  private static let usualDuration: UInt64 = 10_000
  /// What slice-traffic waits for the other end, before and after it sends: 5 s to connect, 10 s until
  /// all has been read.
  private static let longestWaits: UInt64 = 15_000

  private func milliseconds(default usual: UInt64) throws(SliceError) -> UInt64 {
    guard let duration else { return usual }
    guard let span = TimeSpan(duration), (1...604_800_000).contains(span.milliseconds) else {
      throw SliceError(
        .usage, "'\(duration.escapedForTerminal)' is not a time up to a week",
        hint: "such as 10s, 5m, 1h")
    }
    return span.milliseconds
  }

  private func listenArguments() throws(SliceError) -> [String] {
    guard `protocol` != .icmp else {
      throw SliceError(.usage, "the slice's kernel answers pings by itself, without --listen")
    }
    return [
      "listen", `protocol`.rawValue, "\(try checked(port))", "\(try milliseconds(default: 0))",
    ]
  }

  private func sendArguments() throws(SliceError) -> [String] {
    let (address, port) = try destination(to ?? "")
    let (bits, packets) = try rates()
    // A mark of 24 bytes is in each; the rest is what a datagram, or a write, holds.
    let sizes: ClosedRange<UInt32> = `protocol` == .tcp ? 1...1_048_576 : 24...65_499
    let size = size ?? (`protocol` == .icmp ? 56 : `protocol` == .tcp ? 65_536 : 1000)
    guard sizes.contains(size) else {
      throw SliceError(
        .usage,
        "a payload of \(`protocol`.rawValue) has \(sizes.lowerBound) to \(sizes.upperBound) bytes")
    }
    return [
      "send", `protocol`.rawValue, address, "\(`protocol` == .icmp ? 0 : try checked(port))",
      "\(bits)", "\(packets)", "\(size)", "\(try milliseconds(default: Self.usualDuration))",
    ]
  }

  private func checked(_ port: UInt16) throws(SliceError) -> UInt16 {
    guard port > 0 else { throw SliceError(.usage, "0 is not a port") }
    return port
  }

  private func destination(_ text: String) throws(SliceError) -> (String, UInt16) {
    func parts() -> (String, String?)? {
      if text.hasPrefix("[") {
        guard let end = text.firstIndex(of: "]") else { return nil }
        let rest = text[text.index(after: end)...]
        let address = String(text[text.index(after: text.startIndex)..<end])
        guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
        return (address, rest.isEmpty ? nil : String(rest.dropFirst()))
      }
      guard text.count(where: { $0 == ":" }) == 1 else { return (text, nil) }
      let halves = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      return (halves[0], halves[1])
    }
    if SliceName.isValid(text) { return (try ipv4Address(ofSlice: text), port) }
    guard let (address, port) = parts(),
      IPv4Address(address) != nil || IPv6Address(address) != nil,
      port.map({ UInt16($0) != nil }) ?? true
    else {
      throw SliceError(
        .usage, "'\(text.escapedForTerminal)' is not an address",
        hint:
          "such as 192.0.2.1, 192.0.2.1:7777, [2001:db8::1]:7777 or a slice's name; other names are not looked up"
      )
    }
    return (address, port.flatMap { UInt16($0) } ?? self.port)
  }

  private func ipv4Address(ofSlice text: String) throws(SliceError) -> String {
    guard let address = try supervisor.inspect(SliceName(text))["network"]["ipv4"].string else {
      throw SliceError(.usage, "slice '\(text)' has no address", hint: "it has net.mode=none")
    }
    return address
  }

  /// Bits and packets a second, of which one is 0; both: as fast as it goes.
  private func rates() throws(SliceError) -> (bits: UInt64, packets: UInt64) {
    switch (rate, `protocol`) {
    case (nil, .udp): return (1_000_000, 0)
    case (nil, .icmp): return (0, 10)
    case (nil, .tcp): return (0, 0)
    case (let text?, let kind):
      if text.hasSuffix("pps") {
        guard kind != .tcp else {
          throw SliceError(.usage, "TCP makes its packets itself: give a rate in bits")
        }
        guard let packets = UInt64(text.dropLast(3)), (1...10_000_000).contains(packets) else {
          break
        }
        return (0, packets)
      }
      guard let bits = BitRate(text)?.bitsPerSecond, (1...1_000_000_000_000).contains(bits) else {
        break
      }
      return (bits, 0)
    }
    throw SliceError(
      .usage, "'\((rate ?? "").escapedForTerminal)' is not a rate", hint: "such as 10M or 1000pps")
  }
}
