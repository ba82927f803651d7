import SliceInterface
import SliceModel
import SliceRuntime

extension Request {
  /// A message holds at most so many.
  private static let flowsPerReply = 500

  func flows() throws {
    let parameters = try call.parameters(as: FlowsCall.Parameters.self)
    let filter = try filter(parameters)
    guard let audit = node.flows else {
      throw SliceError(
        .unenforceable, "this host's kernel cannot count what slices send",
        hint: "'slicectl doctor' names the remedy")
    }
    var newest: [FlowRecord] = []
    let summary = try audit.search(filter) { records in
      var rest = records[...]
      while call.wantsMore, !rest.isEmpty {
        try call.replyContinues(
          FlowsCall.Reply(flows: rest.prefix(Self.flowsPerReply).map(Flow.init)))
        rest = rest.dropFirst(Self.flowsPerReply)
      }
      // For a client that takes one reply.
      newest = Array((newest + rest).suffix(Self.flowsPerReply))
    }
    guard !call.isHungUp else { return }
    try call.reply(
      FlowsCall.Reply(
        flows: newest.map(Flow.init), uncertain: summary.uncertain,
        // Of everybody's, therefore nothing for owners.
        lostRecords: subject.isAdministrator ? summary.loss.records : nil))
  }

  /// Owners see what their own slices sent.
  private func filter(_ parameters: FlowsCall.Parameters) throws(SliceError) -> FlowFilter {
    var filter = FlowFilter()
    func milliseconds(_ seconds: Double?) -> UInt64? {
      seconds.map { $0.isFinite ? UInt64(max(0, min($0, 4e9)) * 1000) : 0 }
    }
    filter.since = milliseconds(parameters.sinceUnixSeconds)
    filter.until = milliseconds(parameters.untilUnixSeconds)
    filter.owner = subject.isAdministrator ? nil : subject.caller.user
    filter.port = parameters.port
    filter.slice = try parameters.slice.map { (name) throws(SliceError) in try SliceName(name).text
    }
    filter.transport = parameters.protocol
    if let text = parameters.to {
      guard let network = AddressNetwork(text) else {
        throw SliceError(
          .usage, "'\(text.prefix(64).description.escapedForTerminal)' is not an address",
          hint: "give an address, or a network without host bits such as 192.0.2.0/24")
      }
      filter.network = network
    }
    return filter
  }
}

extension Flow {
  fileprivate init(_ record: FlowRecord) {
    self.init(
      first: Clock.text(record.first * 1_000_000), last: Clock.text(record.last * 1_000_000),
      slice: record.sender.slice, number: record.sender.number, owner: record.sender.ownerName,
      ownerId: record.sender.owner, to: record.address?.description, port: record.ports?.port,
      sourcePort: record.ports?.sourcePort, protocol: record.ports?.transport,
      packets: record.packets, bytes: record.bytes)
  }
}
