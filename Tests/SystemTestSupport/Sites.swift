import Glibc

/// Another site, and the way to it: namespaces that the test makes behind its node's uplink.
///
///     node ── up0 ─ near ── a link whose MTU can be smaller ── far ── peer
public final class Sites: Sendable {
  public enum Place: Int, Sendable, CaseIterable {
    /// The router that the node's default routes lead to.
    case near
    case far
    /// A host at the other site. Knows no route to the node's pools.
    case peer
  }

  public static let host4 = "203.0.113.2"
  public static let host6 = "2001:db8:113::2"
  public static let near4 = "203.0.113.1"
  public static let near6 = "2001:db8:113::1"
  public static let far4 = "192.0.2.2"
  public static let far6 = "2001:db8:192::2"
  public static let peer4 = "198.51.100.9"
  public static let peer6 = "2001:db8:51::9"
  /// Of the peer too, in a network that is private.
  public static let private4 = "10.1.9.3"
  public static let private6 = "fd00:9::3"

  public let node: TestNode
  private let holders: [BackgroundCommand]
  /// Of a process in each, in the node's PID namespace.
  private let pids: [String]

  /// - Parameter mtu: of the link between the two routers.
  public init(_ node: TestNode, mtu: Int = 1500) throws {
    self.node = node
    holders = try Place.allCases.map { _ in
      try node.host.start(["unshare", "--net", "sh", "-c", "echo $$; exec sleep 3600"])
    }
    guard eventually({ [holders] in holders.allSatisfy { $0.output.hasSuffix("\n") } }) else {
      throw HarnessError("no sites: \(holders.map(\.errors))")
    }
    pids = holders.map { String($0.output.dropLast()) }
    let made = try node.host.run([
      "sh", "-ec",
      """
      near() { nsenter -t \(pids[0]) -n "$@"; }
      far() { nsenter -t \(pids[1]) -n "$@"; }
      peer() { nsenter -t \(pids[2]) -n "$@"; }
      ip link add up0 type veth peer name node netns \(pids[0])
      near ip link add way mtu \(mtu) type veth peer name way mtu \(mtu) netns \(pids[1])
      far ip link add home type veth peer name eth0 netns \(pids[2])
      ip address add \(Self.host4)/24 dev up0
      ip address add \(Self.host6)/64 dev up0 nodad
      ip link set up0 up
      for router in near far; do
        $router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        # A traceroute asks several times at once.
        $router sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
      done
      peer ip link set lo up
      near ip address add \(Self.near4)/24 dev node
      near ip address add \(Self.near6)/64 dev node nodad
      near ip address add 192.0.2.1/30 dev way
      near ip address add 2001:db8:192::1/64 dev way nodad
      far ip address add \(Self.far4)/30 dev way
      far ip address add \(Self.far6)/64 dev way nodad
      far ip address add 198.51.100.1/24 dev home
      far ip address add 2001:db8:51::1/64 dev home nodad
      peer ip address add \(Self.peer4)/24 dev eth0
      peer ip address add \(Self.peer6)/64 dev eth0 nodad
      peer ip address add \(Self.private4)/32 dev lo
      peer ip address add \(Self.private6)/128 dev lo nodad
      near ip link set node up
      near ip link set way up
      far ip link set way up
      far ip link set home up
      peer ip link set eth0 up
      ip route add default via \(Self.near4)
      ip route add default via \(Self.near6)
      near ip route add 198.51.100.0/24 via \(Self.far4)
      near ip route add 10.1.9.0/24 via \(Self.far4)
      near ip route add 2001:db8:51::/64 via \(Self.far6)
      near ip route add fd00:9::/32 via \(Self.far6)
      far ip route add 203.0.113.0/24 via 192.0.2.1
      far ip route add 2001:db8:113::/64 via 2001:db8:192::1
      far ip route add 10.1.9.0/24 via \(Self.peer4)
      far ip route add fd00:9::/32 via \(Self.peer6)
      peer ip route add default via 198.51.100.1
      peer ip route add default via 2001:db8:51::1
      """,
    ])
    guard made.status == 0 else { throw HarnessError("sites: \(made)") }
    // The links have carriers when both ends are seen to be up.
    guard
      try eventually(
        within: 10,
        {
          try [Self.peer4, Self.peer6].allSatisfy {
            try node.host.run(["ping", "-n", "-c", "1", "-W", "1", $0]).status == 0
          }
        })
    else { throw HarnessError("the peer is not reached") }
  }

  /// The command line that runs `arguments` there, within `node.host`.
  public func command(_ place: Place, _ arguments: [String]) -> [String] {
    ["nsenter", "-t", pids[place.rawValue], "-n"] + arguments
  }

  public func run(
    _ place: Place, _ arguments: String..., timeout: Double = 60
  ) throws -> CommandResult {
    try node.host.run(command(place, arguments), timeout: timeout)
  }

  public func start(_ place: Place, _ arguments: String...) throws -> BackgroundCommand {
    try node.host.start(command(place, arguments))
  }

  public func remove() {
    holders.forEach { $0.signal(SIGKILL) }
    holders.forEach { _ = $0.wait(seconds: 5) }
    // The namespaces take their ends along, in their own time.
    _ = try? node.host.run(["ip", "link", "delete", "up0"])
  }
}

/// As `withNode`, with another site behind the node's uplink.
public func withSites(
  _ options: TestNode.Options = .init(), mtu: Int = 1500,
  _ body: (TestNode, Sites) throws -> Void
) throws {
  try withNode(options) { node in
    let sites = try Sites(node, mtu: mtu)
    defer { sites.remove() }
    try body(node, sites)
  }
}
