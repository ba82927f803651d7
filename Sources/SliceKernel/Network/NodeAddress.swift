import CNetlink
import Glibc
import SliceModel

/// What the host has towards the world, and slices of net.mode=shared have with it.
public struct NodeAddress: Sendable, Hashable {
  public var addresses: SliceAddresses
  /// The largest packet of the link, in bytes.
  public var mtu: UInt32
  /// Index of the link with the default route of IPv4.
  public var link: Int32
}

extension NetworkControl {
  /// The host's own address. `unenforceable` where it has none, or none that slices could share.
  public func nodeAddress() throws(SliceError) -> NodeAddress {
    let four = try nodeAddress(family: AF_INET)
    guard four.present else {
      throw SliceError(
        .unenforceable, "this host has no IPv4 address towards the world that slices could share",
        hint: "give it a default route, or leave net.mode as routed")
    }
    guard four.is_ethernet else {
      throw SliceError(
        .unenforceable, "the link with this host's default route is not Ethernet's",
        hint: "leave net.mode as routed")
    }
    let six = try nodeAddress(family: AF_INET6)
    let hasIPv6 = six.present && six.is_ethernet
    let bytes4 = withUnsafeBytes(of: four.address) { Array($0) }
    let bytes6 = withUnsafeBytes(of: six.address) { Array($0) }
    return NodeAddress(
      addresses: SliceAddresses(
        ipv4: IPv4Address(networkOrder: bytes4),
        ipv6: hasIPv6 ? IPv6Address(networkOrder: bytes6) : nil),
      mtu: hasIPv6 ? min(four.mtu, six.mtu) : four.mtu, link: four.link)
  }

  private func nodeAddress(family: Int32) throws(SliceError) -> cnl_node_address {
    var found = cnl_node_address()
    try withContext("the node's address") { cnl_node_address($0, family, &found, $1) }
    return found
  }

  /// Keeps ports from the host's automatic ones.
  public func reserve(_ ports: ClosedRange<UInt16>) throws(SliceError) {
    try withContext("ports for slices") {
      cnl_reserve_ports($0, ports.lowerBound, ports.upperBound, $1)
    }
  }

  /// Refuses ports that something on the host uses. The calling thread must be in its namespace.
  public static func requireFree(_ ports: some Sequence<UInt16>) throws(SliceError) {
    for port in ports {
      var error = cnl_error()
      let result = cnl_port_check(port, &error)
      guard result < 0 else { continue }
      let name = withUnsafeBytes(of: error.detail) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard result == -EADDRINUSE else {
        throw SliceError(.failed, "\(name) cannot be tried: errno \(-result)")
      }
      throw SliceError(
        .failed, "\(name) is in use by a program of the host",
        hint: "'ss -lntup' shows which; choose another port")
    }
  }
}

extension NetworkNamespace {
  /// Identifies it as long as the host runs: SO_NETNS_COOKIE of socket(7).
  func cookie() throws(SliceError) -> UInt64 {
    var handle = handle
    var cookie: UInt64 = 0
    try network("identify a network namespace") { cnl_namespace_cookie(&handle, &cookie, $0) }
    return cookie
  }

  /// Gives the slice other addresses. One that has no IPv6 gets none.
  public func readdress(_ addresses: SliceAddresses) throws(SliceError) {
    var handle = handle
    try network("addresses of a network namespace") {
      cnl_namespace_readdress(&handle, addresses.ipv4.bytes, addresses.ipv6?.bytes, $0)
    }
  }

  /// What programs inside get that ask for no port in particular.
  public func setAutomaticPorts(_ ports: PortRanges) throws(SliceError) {
    let gaps = ports.gaps?.description ?? ""
    try network("ports of a network namespace") {
      cnl_namespace_set_ports(
        descriptor.rawValue, ports.hull.lowerBound, ports.hull.upperBound, gaps, $0)
    }
  }
}

extension IPv4Address {
  /// The first 4 bytes.
  fileprivate init(networkOrder bytes: [UInt8]) {
    self.init(value: bytes[..<4].reduce(0) { $0 << 8 | UInt32($1) })
  }
}

extension IPv6Address {
  fileprivate init(networkOrder bytes: [UInt8]) {
    func half(_ part: ArraySlice<UInt8>) -> UInt64 { part.reduce(0) { $0 << 8 | UInt64($1) } }
    self.init(high: half(bytes[..<8]), low: half(bytes[8..<16]))
  }
}
