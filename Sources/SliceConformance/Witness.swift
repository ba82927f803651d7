import SliceModel

/// What slice-probe has seen at a link: packets by the texts in them.
struct Sights {
  private let counts: [String: Int]
  /// Of the last packet with a text its source port, or the identifier of an ICMP echo.
  let numbers: [String: Int]
  /// Whether the last text was seen, which is sent when all others have been: then what wasn't seen did not come.
  let ended: Bool

  init(_ texts: [String], output: String) throws {
    guard let line = output.split(separator: "\n").last,
      let value = try? JSONValue(parsing: Array(line.utf8)), let seen = value["seen"].array,
      seen.count == texts.count
    else { throw SuiteError("no count of packets: \(output)") }
    counts = Dictionary(
      uniqueKeysWithValues: zip(texts, seen.map { Int($0.number ?? 0) }))
    numbers = Dictionary(
      uniqueKeysWithValues: zip(texts, (value["number"].array ?? seen).map { Int($0.number ?? -1) })
    )
    if case .bool(let ended) = value["ended"] { self.ended = ended } else { ended = true }
  }

  subscript(text: String) -> Int { counts[text] ?? 0 }
}

extension TestBed {
  /// Where packets are looked for.
  enum View: String {
    /// What comes in by a link, whatever becomes of it.
    case arriving
    /// Of IPv4 that comes in, what goes on past the programs on the link.
    case passing
    /// Behind the queue of the link.
    case leaving
  }

  /// Looks for packets while something sends them.
  /// - Parameters:
  ///   - link: of the network namespace of the process `pid`; nil: of the host.
  ///   - seconds: how long to wait for the last of the texts.
  func sights(
    of texts: [String], at link: String, of pid: Int32? = nil, _ view: View, seconds: Double = 5,
    while send: () throws -> Void
  ) throws -> Sights {
    let place = pid.map { "\($0)" } ?? "host"
    let witness: RunningProgram
    do {
      witness = try start(
        [tools.probe, "witness", place, link, view.rawValue, "\(seconds)"] + texts)
    } catch let error as SuiteError where Self.isAboutRights(error.description) {
      throw Unenforceable(reason: "\(error); it needs root")
    }
    defer { witness.end() }
    try send()
    try witness.collect(until: Clock.now + seconds + 30, interruption)
    return try Sights(texts, output: witness.text(0))
  }

  /// Sends packets from a slice's network namespace, past what keeps its processes from it.
  func inject(
    from slice: String, _ link: String, _ kind: String, source: String, to: String, text: String
  ) throws {
    let result = try probe(
      ["inject", "\(initProcess(of: slice))", link, kind, source, to, text])
    guard result.status == 0 else { throw failure(ofPackets: result) }
  }

  /// Who isn't root gets no socket; what else goes wrong is to be looked at.
  func failure(ofPackets result: Program.Result) -> any Error {
    Self.isAboutRights(result.complaint)
      ? Unenforceable(reason: "\(result.complaint); it needs root") : SuiteError(result.complaint)
  }

  private static func isAboutRights(_ text: String) -> Bool {
    text.contains("not permitted") || text.contains("denied")
  }
}
