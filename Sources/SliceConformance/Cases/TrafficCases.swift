import Glibc
import SliceModel

/// What is recorded of packets: by `slicectl capture`, for a slice's owner, and by the audit of flows, for who asks
/// later who has sent something.
enum TrafficCases {
  static let all: [ConformanceCase] = [
    .script(
      "capture.own", "a capture shows packets of its slice alone", "packet(7)",
      depth: [.networkNamespace], capture),
    .script(
      "capture.foreign", "nobody captures the packets of another owner's slice",
      "unix(7), SO_PEERCRED", needs: [.authorization], foreign),
    .script(
      "flows.sender", "what leaves the node is recorded under the slice that has sent it",
      "RFC 2827", needs: [.flowAudit], sender),
  ]

  /// The host sends to the neighbour and to itself, and then to the slice.
  private static func capture(_ bed: TestBed) throws -> Verdict {
    let (slice, neighbour) = (try bed.idle.get(), try bed.neighbour.get())
    let (own, other) = (try bed.addresses(of: slice), try bed.addresses(of: neighbour))
    func record(_ slice: String, until text: String) throws -> String {
      let running = try RunningProgram(
        [bed.tools.slicectl, "--socket", bed.tools.socket, "capture", slice, "-w", "-"])
      defer { running.end() }
      try running.collect(
        until: Clock.now + 30, waitingFor: "capturing", in: 1, bed.interruption)
      guard running.text(1).contains("capturing") else { throw SuiteError(running.text(1)) }
      _ = try bed.probe(["say", "capture.foreign", "9", other.ipv4, "127.0.0.1"])
      _ = try bed.probe(["say", "capture.own", "9", own.ipv4])
      try running.collect(until: Clock.now + 10, waitingFor: text, bed.interruption)
      running.interrupt()
      try running.collect(until: Clock.now + 20, bed.interruption)
      return running.text(0)
    }
    let found = try record(slice, until: "capture.own")
    guard found.contains("capture.own") else { return .error("nothing was captured") }
    guard !found.contains("capture.foreign") else {
      return .fail("packets to another slice or to the host are in it")
    }
    let control = try record(neighbour, until: "capture.foreign")
    return control.contains("capture.foreign")
      ? .pass : .error("the control: the neighbour's own capture doesn't show them either")
  }

  private static func foreign(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    let result = try bed.asStranger(["capture", slice, "--duration", "1s"])
    guard result.status == 4 || result.status == 3 else {
      return .fail("another user had status \(result.status): \(result.complaint)")
    }
    let own = try bed.slicectl(["capture", slice, "--duration", "1s"])
    return own.status == 0 ? .pass : .error("the control: \(own.complaint)")
  }

  /// A port that nobody else sends to, from two slices, and once more with the other's address.
  private static func sender(_ bed: TestBed) throws -> Verdict {
    guard File.uplink() != nil else { throw TestBed.Unenforceable(reason: "no uplink") }
    let nobody = "192.0.2.1"  // RFC 5737
    let slices = [try bed.idle.get(), try bed.neighbour.get()]
    let addresses = try slices.map { try bed.addresses(of: $0) }
    let ports = [4713, 4714]
    for (slice, port) in zip(slices, ports) {
      let result = try bed.probe(in: slice, ["say", "flows.sender", "\(port)", nobody])
      guard result.status == 0 else { return .error(result.complaint) }
    }
    try bed.inject(
      from: slices[0], "eth0", "udp:4713", source: addresses[1].ipv4, to: nobody,
      text: "flows.sender")
    func senders(_ port: Int) throws -> Set<String> {
      let records =
        try bed.json(["flows", "--since", "1m", "--to", nobody, "--port", "\(port)"]).array ?? []
      return Set(records.compactMap { $0["slice"].string })
    }
    let deadline = Clock.now + 30
    var found: [Set<String>] = []
    repeat {
      try bed.interruption.check()
      usleep(200_000)
      found = try ports.map(senders)
    } while found.contains(where: \.isEmpty) && Clock.now < deadline
    for (number, slice) in slices.enumerated() where found[number] != [slice] {
      return .fail("of packets of \(slice) it says \(found[number].sorted())")
    }
    return .pass
  }
}
