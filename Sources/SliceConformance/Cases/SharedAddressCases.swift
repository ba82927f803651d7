import SliceModel

/// Slices that share the node's address: what they send is told by ports, on its way to the world.
enum SharedAddressCases {
  static let all: [ConformanceCase] = [
    .script(
      "shared.port", "a slice with the node's address sends nothing from another's port",
      "RFC 2827", needs: [.classifier]
    ) { try $0.sharing.get().forge($0, "udp", "shared.port") },
    .script(
      "shared.echo", "an echo leaves the node with no identifier that is another slice's",
      "RFC 792", needs: [.classifier]
    ) { try $0.sharing.get().forge($0, "echo", "shared.echo") },
    .script(
      "shared.bind", "a port of another slice can't be bound", "bind(2)", depth: [.classifier]
    ) { try $0.sharing.get().bind($0) },
    .script(
      "shared.sniff", "a slice with the node's address sees nothing that another one sends",
      "packet(7)", depth: [.networkNamespace, .classifier]
    ) { try $0.sharing.get().sniff($0) },
  ]
}

/// Two slices with the node's address.
struct SharingSlices {
  private let mine, theirs: (slice: String, port: Int)
  private let uplink: String
  private let address: String
  /// Nobody's, and by the way to the world (RFC 5737).
  private static let nobody = "192.0.2.1"

  init(_ bed: TestBed) throws {
    guard let uplink = File.uplink() else { throw TestBed.Unenforceable(reason: "no uplink") }
    self.uplink = uplink
    func make() throws -> (String, Int, String) {
      let slice: String
      switch try bed.makeSlice(image: bed.image, settings: ["net.mode=shared"]) {
      case .success(let name): slice = name
      case .failure(let error): throw TestBed.Unenforceable(reason: error.message)
      }
      let network = try bed.json(["inspect", slice])["network"]
      guard let port = network["ports"].string?.prefix(while: \.isNumber), let first = Int(port),
        let address = network["ipv4"].string
      else { throw SuiteError("\(slice) has no ports of the node's address") }
      return (slice, first, address)
    }
    let (one, other) = (try make(), try make())
    mine = (one.0, one.1)
    theirs = (other.0, other.1)
    address = one.2
  }

  /// With the other's number and with an own one, as root of the host, at the slice's link.
  func forge(_ bed: TestBed, _ kind: String, _ text: String) throws -> Verdict {
    let seen = try bed.sights(of: [text, "shared.end"], at: uplink, .leaving) {
      for (port, text) in [(theirs.port, text), (mine.port, "shared.end")] {
        try bed.inject(
          from: mine.slice, "eth0", "\(kind):\(port)", source: address, to: Self.nobody, text: text)
      }
    }
    guard seen.ended, seen.numbers["shared.end"] == mine.port else {
      return .error("the control: with a number of its own nothing left either")
    }
    // Of an echo another identifier may be put in its place.
    return seen[text] == 0 || seen.numbers[text] != theirs.port
      ? .pass : .fail("\(seen[text]) packets left with \(theirs.port), which is another slice's")
  }

  func bind(_ bed: TestBed) throws -> Verdict {
    func attempt(_ port: Int) throws -> ProbeAnswer? {
      let result = try bed.probe(in: mine.slice, ["run", "shared.bind=\(port)"])
      return ProbeAnswer.all(in: result.output)["shared.bind=\(port)"]
    }
    guard let answer = try attempt(theirs.port) else { return .error("no answer") }
    guard answer.outcome == .held else { return .fail(answer.text) }
    let own = try attempt(mine.port)
    return own?.outcome == .broken ? .pass : .error("the control: \(own?.text ?? "no answer")")
  }

  /// Looked for at the one's link while the other sends, and the other way round: the control.
  func sniff(_ bed: TestBed) throws -> Verdict {
    func look(_ slice: String, _ view: TestBed.View, seconds: Double) throws -> Int {
      try bed.sights(
        of: ["shared.sniff"], at: "eth0", of: bed.initProcess(of: slice), view, seconds: seconds
      ) {
        try bed.inject(
          from: theirs.slice, "eth0", "udp:\(theirs.port)", source: address, to: Self.nobody,
          text: "shared.sniff")
      }["shared.sniff"]
    }
    let seen = try look(mine.slice, .arriving, seconds: 0.5)
    guard seen == 0 else { return .fail("\(seen) packets of another slice were seen") }
    return try look(theirs.slice, .leaving, seconds: 5) > 0
      ? .pass : .error("the control: the sender doesn't see them either")
  }
}
