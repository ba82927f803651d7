import SliceModel

/// What is kept of an overlay on disk.
public struct OverlayRecord: Sendable, Hashable, Codable {
  /// Of this file's form; a later version reads the earlier ones.
  public var version = 1
  public var name: String
  /// User id of the owner, on the host.
  public var owner: UInt32
  public var ownerName: String
  /// Nanoseconds since 1970, UTC.
  public var createdAt: UInt64
  public var subnet: String
  public var part: String
  public var privateKey: String?
  public var identifier: UInt32
  public var port: UInt16
  public var mtu: UInt32
  /// Addresses of the members, by slice.
  public var members: [String: String] = [:]
  public var peers: [Peer] = []

  public struct Peer: Sendable, Hashable, Codable {
    public var host: String
    public var port: UInt16?
    public var part: String
    public var key: String?
  }

  init(_ terms: OverlayTerms, owner: Caller, createdAt: UInt64) {
    name = terms.name.text
    self.owner = owner.user
    ownerName = owner.name
    self.createdAt = createdAt
    subnet = terms.subnet.description
    part = terms.part.description
    privateKey = terms.privateKey?.description
    identifier = terms.identifier
    port = terms.port
    mtu = terms.mtu
  }

  /// The record's own words again; `failed` where somebody has changed them to what means nothing.
  func terms() throws(SliceError) -> OverlayTerms {
    guard let subnet = AddressPool4(subnet), let part = AddressPool4(part),
      privateKey.map({ WireGuardKey($0) != nil }) ?? true
    else { throw SliceError(.failed, "the record of overlay \(name) is damaged") }
    return try OverlayTerms(
      name: OverlayName(name), subnet: subnet, part: part,
      privateKey: privateKey.flatMap { WireGuardKey($0) }, identifier: identifier, port: port,
      mtu: mtu)
  }

  func address(of slice: String) -> IPv4Address? { members[slice].flatMap { IPv4Address($0) } }

  /// Whether other nodes believe the outer addresses of its packets.
  var isCarriedInTheOpen: Bool { privateKey == nil && !peers.isEmpty }

  var addresses: Set<IPv4Address> { Set(members.values.compactMap { IPv4Address($0) }) }
}

extension OverlayRecord.Peer {
  init(_ peer: OverlayPeer) {
    host = peer.host.description
    port = peer.port
    part = peer.part.description
    key = peer.key?.description
  }

  func peer() throws(SliceError) -> OverlayPeer {
    guard let host = PeerAddress(host), let part = AddressPool4(part) else {
      throw SliceError(.failed, "the record of peer \(host.escapedForTerminal) is damaged")
    }
    return OverlayPeer(host: host, port: port, part: part, key: key.flatMap { WireGuardKey($0) })
  }
}
