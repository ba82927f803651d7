// The parameters and replies of the methods for overlays, as the interface definition describes them.

/// An overlay, as `overlay list` shows it.
public struct OverlaySummary: Sendable, Hashable, Codable {
  public var name: String
  public var owner: String
  public var createdAt: String
  public var subnet: String
  public var part: String
  public var gateway: String
  public var encrypted: Bool
  public var publicKey: String?
  public var id: UInt32
  public var port: UInt16
  public var mtu: UInt32
  public var members: [Member]
  public var peers: [Peer]
  public var carried: Traffic?
  public var dropped: [String: UInt64]?
  public var problem: String?

  public init(
    name: String, owner: String, createdAt: String, subnet: String, part: String, gateway: String,
    encrypted: Bool, publicKey: String?, id: UInt32, port: UInt16, mtu: UInt32, members: [Member],
    peers: [Peer], carried: Traffic?, dropped: [String: UInt64]?, problem: String?
  ) {
    self.name = name
    self.owner = owner
    self.createdAt = createdAt
    self.subnet = subnet
    self.part = part
    self.gateway = gateway
    self.encrypted = encrypted
    self.publicKey = publicKey
    self.id = id
    self.port = port
    self.mtu = mtu
    self.members = members
    self.peers = peers
    self.carried = carried
    self.dropped = dropped
    self.problem = problem
  }

  public struct Member: Sendable, Hashable, Codable {
    public var slice: String
    public var address: String
    public var carried: Traffic?
    public var dropped: [String: UInt64]?
    public init(
      slice: String, address: String, carried: Traffic?, dropped: [String: UInt64]?
    ) {
      self.slice = slice
      self.address = address
      self.carried = carried
      self.dropped = dropped
    }
  }

  public struct Traffic: Sendable, Hashable, Codable {
    public var sentBytes, sentPackets, receivedBytes, receivedPackets: UInt64
    public init(
      sentBytes: UInt64, sentPackets: UInt64, receivedBytes: UInt64, receivedPackets: UInt64
    ) {
      self.sentBytes = sentBytes
      self.sentPackets = sentPackets
      self.receivedBytes = receivedBytes
      self.receivedPackets = receivedPackets
    }
  }

  public struct Peer: Sendable, Hashable, Codable {
    public var host: String
    public var port: UInt16?
    public var part: String
    public var key: String?
    public init(host: String, port: UInt16?, part: String, key: String?) {
      self.host = host
      self.port = port
      self.part = part
      self.key = key
    }
  }
}

/// The reply of the methods that end with an overlay.
public struct OverlayReply: Sendable, Codable {
  public var overlay: OverlaySummary
  public init(overlay: OverlaySummary) { self.overlay = overlay }
}

public enum OverlayCreateCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var subnet: String
    public var part: String?
    public var encrypt: Bool
    public var id: UInt32?
    public var port: UInt16?
    public var mtu: UInt32?
    public init(
      name: String, subnet: String, part: String?, encrypt: Bool, id: UInt32?, port: UInt16?,
      mtu: UInt32?
    ) {
      self.name = name
      self.subnet = subnet
      self.part = part
      self.encrypt = encrypt
      self.id = id
      self.port = port
      self.mtu = mtu
    }
  }
}

public enum OverlayListCall {
  public struct Reply: Sendable, Codable {
    public var overlays: [OverlaySummary]
    public init(overlays: [OverlaySummary]) { self.overlays = overlays }
  }
}

public enum OverlayJoinCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var slice: String
    public var address: String?
    public init(name: String, slice: String, address: String?) {
      self.name = name
      self.slice = slice
      self.address = address
    }
  }
  public struct Reply: Sendable, Codable {
    public var address: String
    public init(address: String) { self.address = address }
  }
}

public enum OverlayLeaveCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var slice: String
    public init(name: String, slice: String) {
      self.name = name
      self.slice = slice
    }
  }
}

public enum OverlayAddPeerCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var peer: OverlaySummary.Peer
    public init(name: String, peer: OverlaySummary.Peer) {
      self.name = name
      self.peer = peer
    }
  }
}

public enum OverlayRemovePeerCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var host: String
    public init(name: String, host: String) {
      self.name = name
      self.host = host
    }
  }
}
