import CNetlink
import Descriptor
import Glibc
import SliceModel

/// A slice that publishes ports.
public struct Publisher: Sendable, Hashable {
  public var addresses: SliceAddresses
  public var ports: [PublishedPort]

  public init(addresses: SliceAddresses, ports: [PublishedPort]) {
    self.addresses = addresses
    self.ports = ports
  }

  /// How other slices name these ports: at the host, and at the slice.
  public var services: Set<NetworkPolicy.Service> {
    let own = [addresses.ipv4.mappedBytes] + (addresses.ipv6.map { [$0.bytes] } ?? [])
    return Set(
      ports.flatMap { port in
        [.host(port.host)]
          + own.map { address in
            NetworkPolicy.Service(address: address, port: port.port, transport: port.transport)
          }
      })
  }
}

/// The nftables table `inet slices`, in the calling thread's network namespace.
public enum Translation {
  /// Over all slices of a node.
  public static let mostPorts = Int(CNL_MAX_PUBLISHED)

  /// Masquerades what slices send by other links than their own, and leads published ports to their
  /// slices. Replaces the table as a whole; connections that are translated already go on.
  ///
  /// - Parameters:
  ///   - ports: of the host's address, for what is masqueraded.
  ///   - publishers: nil: the table is for masquerading alone.
  /// - Throws: `unenforceable` where the kernel cannot.
  public static func install(
    _ pools: [AddressPool], linkPrefix: String, ports: Range<UInt16>, publishers: [Publisher]?
  ) throws(SliceError) {
    let flat = pools.map { pool in
      var flat = pool.flat
      flat.first_port = ports.lowerBound
      flat.last_port = ports.upperBound - 1
      return flat
    }
    try withFlat(publishers ?? []) { (list) throws(SliceError) in
      try network("network address translation") {
        cnl_nat_install(
          flat, flat.count, linkPrefix, list.baseAddress, list.count, publishers != nil, $0)
      }
    }
  }

  /// Whether the table is there.
  public static func isInstalled() throws(SliceError) -> Bool {
    var found = false
    try network("network address translation") { cnl_nat_find(&found, $0) }
    return found
  }

  /// Withdraws the ports of `before` and publishes those of `after`, all or nothing.
  public static func publish(_ before: Publisher?, _ after: Publisher?) throws(SliceError) {
    try withFlat([before, after].compactMap(\.self)) { (list) throws(SliceError) in
      let start = list.baseAddress
      let next = before == nil ? start : start.map { $0 + 1 }
      try network("publish ports") {
        cnl_nat_publish(before == nil ? nil : start, after == nil ? nil : next, $0)
      }
    }
  }

  /// Has the kernel forget what comes to these ports of a slice, whichever way. A kernel that does not
  /// tell of connections is passed over: they then end by themselves.
  public static func forgetConnections(of publisher: Publisher) throws(SliceError) {
    try forget(AF_INET, publisher.addresses.ipv4.bytes, publisher.ports)
    if let ipv6 = publisher.addresses.ipv6 { try forget(AF_INET6, ipv6.bytes, publisher.ports) }
  }

  /// The same of unanswered ones to these ports of the host, whoever has it.
  public static func forgetUnanswered(
    to ports: [PublishedPort], ipv6: Bool
  ) throws(SliceError) {
    try forget(AF_INET, nil, ports)
    if ipv6 { try forget(AF_INET6, nil, ports) }
  }

  private static func forget(
    _ family: Int32, _ address: [UInt8]?, _ ports: [PublishedPort]
  ) throws(SliceError) {
    let padded = address.map { $0 + [UInt8](repeating: 0, count: 16 - $0.count) }
    let flat = ports.map(\.flat)
    do throws(SliceError) {
      try network("connections to published ports") { error in
        guard let padded else {
          return cnl_connections_forget(family, nil, flat, flat.count, error)
        }
        return cnl_connections_forget(family, padded, flat, flat.count, error)
      }
    } catch {
      guard error.code == .unenforceable else { throw error }
    }
  }

  /// Calls `body` with the publishers as C has them.
  private static func withFlat(
    _ publishers: [Publisher],
    _ body: (UnsafeBufferPointer<cnl_publisher>) throws(SliceError) -> Void
  ) throws(SliceError) {
    let ports = publishers.flatMap(\.ports).map(\.flat)
    // One buffer for all: their pointers must outlive the call.
    let buffer = UnsafeMutableBufferPointer<cnl_published>.allocate(capacity: ports.count)
    defer { buffer.deallocate() }
    _ = buffer.initialize(from: ports)
    var next = buffer.baseAddress
    let flat = publishers.map { publisher in
      var one = cnl_publisher()
      fill(&one.ipv4, with: publisher.addresses.ipv4.bytes)
      if let ipv6 = publisher.addresses.ipv6 {
        one.has_ipv6 = true
        fill(&one.ipv6, with: ipv6.bytes)
      }
      one.ports = UnsafePointer(next)
      one.count = publisher.ports.count
      next = next.map { $0 + publisher.ports.count }
      return one
    }
    let list = UnsafeMutableBufferPointer<cnl_publisher>.allocate(capacity: flat.count)
    defer { list.deallocate() }
    _ = list.initialize(from: flat)
    try body(UnsafeBufferPointer(list))
  }
}

extension PublishedPort {
  fileprivate var flat: cnl_published {
    cnl_published(protocol: transport.number, host_port: host.port, port: port)
  }
}

extension OwnedFD {
  /// A socket that keeps a port of the host, at all its addresses, from the host's programs.
  ///
  /// - Throws: `failed` where one of them has it.
  public static func holding(_ port: TransportPort, ipv6: Bool) throws(SliceError) -> OwnedFD {
    var descriptor: Int32 = -1
    do throws(SliceError) {
      try network("port \(port) of the host") { error in
        descriptor = cnl_port_hold(port.transport.number, port.port, ipv6, error)
        return min(descriptor, 0)
      }
    } catch {
      throw SliceError(
        error.code, error.message,
        hint:
          "'ss -anp sport = \(port.port)' shows what has it; a connection that has just ended keeps its port for up to a minute"
      )
    }
    return OwnedFD(adopting: descriptor)
  }
}

extension NetworkControl {
  /// Whether the host reaches ports of this link's slice at its own loopback. A link that is gone is
  /// fine.
  public func setLoopback(_ allowed: Bool, on name: String) throws(SliceError) {
    let index = if_nametoindex(name)
    guard index != 0 else { return }
    try withContext("link \(name)") {
      let result = cnl_link_set_loopback($0, Int32(index), allowed, $1)
      return result == -ENODEV ? 0 : result
    }
  }
}
