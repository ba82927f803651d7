import SliceInterface
import SliceModel
import SliceRuntime

extension Request {
  /// The overlay of this name, if the caller may touch it.
  private func authorizedOverlay(_ text: String) throws(SliceError) -> OverlayName {
    let name = try OverlayName(text)
    try subject.require(node.overlayRecord(name))
    return name
  }

  func overlayCreate() throws {
    let parameters = try call.parameters(as: OverlayCreateCall.Parameters.self)
    // Else an owner could send in the node's name wherever a port leads.
    if parameters.port != nil { try subject.requireAdministrator() }
    var generator = SystemRandomNumberGenerator()
    let terms = try OverlayTerms(
      name: OverlayName(parameters.name), subnet: Self.network(parameters.subnet),
      part: parameters.part.map { (text) throws(SliceError) in try Self.network(text) },
      privateKey: parameters.encrypt
        ? WireGuardKey(random: (0..<WireGuardKey.length).map { _ in generator.next() }) : nil,
      identifier: parameters.id, port: parameters.port, mtu: parameters.mtu)
    try reply(node.createOverlay(terms, caller: subject.caller, within: bounds))
  }

  func overlayDelete() throws {
    let name = try authorizedOverlay(call.parameters(as: NameParameters.self).name)
    try node.deleteOverlay(name, by: userName)
    try call.reply(Empty())
  }

  func overlayList() throws {
    let visible = node.overlays { subject.maySee($0) }
    try call.reply(OverlayListCall.Reply(overlays: visible.map(OverlaySummary.init)))
  }

  func overlayInspect() throws {
    try reply(node.overlay(authorizedOverlay(call.parameters(as: NameParameters.self).name)))
  }

  func overlayJoin() throws {
    let parameters = try call.parameters(as: OverlayJoinCall.Parameters.self)
    let name = try authorizedOverlay(parameters.name)
    let slice = try authorizedSlice(parameters.slice)
    let address = try parameters.address.map { (text) throws(SliceError) -> IPv4Address in
      guard let address = IPv4Address(text) else {
        throw SliceError(
          .usage, "'\(text.prefix(64).description.escapedForTerminal)' is not an IPv4 address")
      }
      return address
    }
    let given = try node.join(name, slice, address: address, by: userName)
    try call.reply(OverlayJoinCall.Reply(address: given.description))
  }

  func overlayLeave() throws {
    let parameters = try call.parameters(as: OverlayLeaveCall.Parameters.self)
    let name = try authorizedOverlay(parameters.name)
    try node.leave(name, authorizedSlice(parameters.slice), by: userName)
    try call.reply(Empty())
  }

  // Of administrators alone, although the overlay is its owner's: what goes to a peer goes in the node's
  // own name, past what slices may reach, and what comes from one is let in.

  func overlayAddPeer() throws {
    try subject.requireAdministrator()
    let parameters = try call.parameters(as: OverlayAddPeerCall.Parameters.self)
    let name = try authorizedOverlay(parameters.name)
    let peer = OverlayPeer(
      host: try Self.host(parameters.peer.host), port: parameters.peer.port,
      part: try Self.network(parameters.peer.part),
      key: try parameters.peer.key.map { (text) throws(SliceError) -> WireGuardKey in
        guard let key = WireGuardKey(text) else {
          throw SliceError(
            .usage, "that is not a WireGuard key", hint: "it has 44 characters, the last one =")
        }
        return key
      })
    try reply(node.add(peer, to: name, by: userName))
  }

  func overlayRemovePeer() throws {
    try subject.requireAdministrator()
    let parameters = try call.parameters(as: OverlayRemovePeerCall.Parameters.self)
    let name = try authorizedOverlay(parameters.name)
    try reply(node.removePeer(Self.host(parameters.host), from: name, by: userName))
  }

  private func reply(_ overlay: OverlayView) throws {
    try call.reply(OverlayReply(overlay: OverlaySummary(overlay)))
  }

  private static func network(_ text: String) throws(SliceError) -> AddressPool4 {
    guard let network = AddressPool4(text) else {
      throw SliceError(
        .usage, "'\(text.prefix(64).description.escapedForTerminal)' is not an IPv4 network",
        hint: "give one of 8 to 30 bits, without host bits, such as 10.64.0.0/16")
    }
    return network
  }

  private static func host(_ text: String) throws(SliceError) -> PeerAddress {
    guard let host = PeerAddress(text) else {
      throw SliceError(
        .usage, "'\(text.prefix(64).description.escapedForTerminal)' is not a node's address",
        hint: "give an IPv4 or IPv6 address; names are not looked up")
    }
    return host
  }
}

extension OverlaySummary {
  fileprivate init(_ view: OverlayView) {
    let record = view.record
    self.init(
      name: record.name, owner: record.ownerName, createdAt: Clock.text(record.createdAt),
      subnet: record.subnet, part: record.part,
      gateway: AddressPool4(record.part)?.gateway.description ?? "",
      encrypted: record.privateKey != nil, publicKey: view.publicKey?.description,
      id: record.identifier, port: record.port, mtu: record.mtu,
      members: view.members.map {
        Member(
          slice: $0.slice, address: $0.address, carried: $0.traffic.map(Traffic.init),
          dropped: $0.traffic?.byReason)
      },
      peers: record.peers.map { Peer(host: $0.host, port: $0.port, part: $0.part, key: $0.key) },
      carried: view.carrier.map(Traffic.init), dropped: view.carrier?.byReason,
      problem: view.problem)
  }
}

extension OverlaySummary.Traffic {
  fileprivate init(_ traffic: OverlayView.Traffic) {
    let figures = traffic.statistics
    self.init(
      sentBytes: figures.sentBytes, sentPackets: figures.sentPackets,
      receivedBytes: figures.receivedBytes, receivedPackets: figures.receivedPackets)
  }
}

extension OverlayView.Traffic {
  fileprivate var byReason: [String: UInt64] {
    Dictionary(uniqueKeysWithValues: drops.map { ($0.reason, $0.packets) })
  }
}
