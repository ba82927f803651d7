/// What the node's administrator rules in /etc/slices/node.toml.
public struct NodePolicy: Sendable, Hashable {
  /// Members of this group see and touch every slice; nil: root alone does.
  public var adminGroup: String?
  /// Build slices although this host cannot enforce all their settings (for trials).
  public var allowUnenforced: Bool
  public var addresses4: AddressPool4
  public var addresses6: AddressPool6
  /// First host user id given to slices; a multiple of 65,536.
  public var firstUserID: UInt32
  /// How many ranges of 65,536 ids there are, and so how many slices.
  public var userIDRanges: Int
  /// Network namespaces with links that are kept ready for new slices.
  public var readyNamespaces: Int
  /// Servers written into a slice's resolv.conf; empty: the host's own, where a slice can reach it.
  public var nameServers: [String]
  /// Size of the image that holds the writable layers where the file system of the state has no
  /// project quotas; nil: half of what is free when it is made.
  public var storageImage: ByteSize?
  /// Reserve all of the image on the disk at once.
  public var storagePreallocate: Bool
  public var total: Total
  public var reserve: Reserve
  /// Settings of a slice that does not say otherwise.
  public var defaults: Settings
  /// In the order of the file.
  public var owners: [OwnerRule]
  public var lease: LeaseTerms
  /// What slices may reach.
  public var network: NetworkPolicy
  /// What is kept of the flow audit.
  public var flows: FlowTerms

  /// 172.31.128.0/17 serves 32,765 slices and is rarely used by sites; the ids lie in the upper part of what
  /// systemd sets aside for containers (524288…1879048191, systemd's UIDS-GIDS document).
  public init() {
    adminGroup = nil
    allowUnenforced = false
    addresses4 = AddressPool4("172.31.128.0/17")!
    addresses6 = AddressPool6("fd73:6c69:6365::/64")!
    firstUserID = 0x5000_0000
    userIDRanges = 8192
    readyNamespaces = 8
    nameServers = []
    storageImage = nil
    storagePreallocate = false
    total = Total()
    reserve = Reserve()
    defaults = Settings()
    owners = []
    lease = LeaseTerms()
    network = NetworkPolicy()
    flows = FlowTerms()
  }
}

/// The 65,536 host ids of one slice: id `n` inside is `first + n` on the host.
public struct IDRange: Sendable, Hashable, Codable {
  public static let length: UInt32 = 65_536
  public var first: UInt32
  public init(first: UInt32) { self.first = first }
}
