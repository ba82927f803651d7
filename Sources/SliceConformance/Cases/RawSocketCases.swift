import SliceModel

/// Raw sockets of a slice that was granted some: what it sends and receives beyond that.
enum RawSocketCases {
  static let all: [ConformanceCase] =
    [
      ("source", "from a foreign address", "RFC 2827", Defence.classifier),
      ("port", "from a port outside the grant", "raw(7)", .rawProgram),
      ("protocol", "of a protocol outside the grant", "raw(7)", .rawProgram),
    ].map { name, what, reference, defence in
      .script(
        "raw.\(name)", "raw sockets that were granted send nothing \(what)", reference,
        needs: [defence]
      ) { try $0.grantedPackets.get().verdict("raw.\(name)") }
    }
    + [
      inside(
        "refused", "a socket for what was not granted is refused", "raw(7), packet(7)", .rawBroker),
      inside(
        "filter", "a program's own filter, attached and detached, leaves the policy on its socket",
        "socket(7), SO_ATTACH_FILTER", .rawBroker),
      inside(
        "options", "options by which packets would get past the policy are refused",
        "packet(7), PACKET_QDISC_BYPASS", .argumentFilter),
      .script(
        "raw.withdrawn", "a raw socket whose grant is withdrawn sends and receives nothing more",
        "raw(7)", needs: [.rawBroker, .rawProgram], withdrawn),
    ]

  /// One probe, in a slice with grants.
  private static func inside(
    _ name: String, _ statement: String, _ reference: String, _ defence: Defence
  ) -> ConformanceCase {
    .script("raw.\(name)", statement, reference, needs: [defence]) { bed in
      let attempt = "raw.\(name)"
      let result = try bed.probe(in: bed.granted.get(), ["run", attempt])
      return try bed.judge(
        ProbeAnswer.all(in: result.output)["\(attempt)="],
        control: bed.probe(["bare", attempt]), "\(attempt)=")
    }
  }

  private static func withdrawn(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.grantedSlice()
    defer { bed.release(slice) }
    let (own, other) = (try bed.addresses(of: slice), try bed.addresses(of: bed.neighbour.get()))
    let holder = try bed.startSlicectl([
      "exec", slice, "--", "/probe", "hold", own.ipv4, other.ipv4,
    ])
    defer { holder.end() }
    /// Datagrams that it has received since it said so last, at the third time from now.
    func received() throws -> Double {
      func ticks() -> [JSONValue] {
        holder.text(0).split(separator: "\n").compactMap {
          try? JSONValue(parsing: Array($0.utf8))
        }.filter { $0["tick"].number != nil }
      }
      try holder.collect(
        until: Clock.now + 30, waitingFor: "\"tick\":\(ticks().count + 2),", bed.interruption)
      return ticks().last?["received"].number ?? -1
    }
    func passing(_ seconds: Double) throws -> Int {
      try bed.sights(of: ["raw.withdrawn"], at: own.link, .passing, seconds: seconds) {}[
        "raw.withdrawn"]
    }
    guard try passing(10) > 0, try received() > 0 else {
      return .error("the control: with the grant nothing is sent, or nothing received")
    }
    let change = try bed.slicectl(["set", slice, "raw.allow=icmp"])
    guard change.status == 0 else { return .error(change.complaint) }
    let (sent, still) = (try passing(0.5), try received())
    guard sent == 0 else { return .fail("\(sent) packets left in half a second") }
    return still == 0 ? .pass : .fail("\(Int(still)) datagrams received in 50 ms")
  }
}

/// All that raw sockets send in a run.
struct GrantedPackets {
  private let sights: Sights
  private let control: Sights?
  private let controlFailure: String
  private static let texts = ["raw.own", "raw.source", "raw.port", "raw.protocol", "raw.end"]

  init(_ bed: TestBed) throws {
    let slice = try bed.granted.get()
    let (own, other) = (try bed.addresses(of: slice), try bed.addresses(of: bed.neighbour.get()))
    sights = try bed.sights(of: Self.texts, at: own.link, .passing) {
      let sent = try bed.probe(in: slice, ["granted", own.ipv4, other.ipv4])
      guard sent.status == 0 else { throw SuiteError(sent.complaint) }
    }
    let bare = try bed.probe(["granted", "bare"])
    control = try? Sights(Self.texts, output: bare.output)
    controlFailure = bare.complaint
  }

  func verdict(_ name: String) -> Verdict {
    guard sights[name] == 0 else {
      return .fail("\(sights[name]) of the packets passed the host's end of the link")
    }
    guard sights.ended, sights["raw.own"] > 0 else {
      return .error("what is granted doesn't pass either")
    }
    guard let control else { return .skip("the control could not be run: \(controlFailure)") }
    return control[name] > 0
      ? .pass : .error("the control: where nothing stands between it doesn't pass either")
  }
}

extension TestBed {
  /// A slice with raw sockets.
  func grantedSlice() throws -> String {
    switch try makeSlice(image: image, settings: ["raw.allow=udp:20000-20010,sniff"]) {
    case .success(let name): return name
    case .failure(let error):
      if [.unenforceable, .refused].contains(error.code) {
        throw Unenforceable(reason: error.message)
      }
      throw SuiteError(error.message)
    }
  }

  /// Of a probe that was tried in one slice, and its control.
  func judge(
    _ answer: ProbeAnswer?, control result: Program.Result, _ key: String
  ) throws -> Verdict {
    guard let answer else { return .error("no answer of \(key)") }
    switch answer.outcome {
    case .broken: return .fail(answer.text)
    case .error: return .error(answer.text)
    case .held, .inapplicable: break
    }
    guard let control = ProbeAnswer.all(in: result.output)[key] else {
      return .skip("the control could not be run: \(result.complaint)")
    }
    switch control.outcome {
    case .broken: return .pass
    case .error: return .error("the control: \(control.text)")
    case .held, .inapplicable:
      return .skip("the attack doesn't work outside a slice either: \(control.text)")
    }
  }
}
