import CNetlink
import Descriptor
import Glibc
import SliceModel
import Synchronization

/// What a slice has sent and received through its link, since the link was made.
public struct LinkStatistics: Sendable, Hashable {
  public var sentBytes, sentPackets, receivedBytes, receivedPackets, droppedPackets: UInt64
  /// Of what it sent and of what was sent to it, by the classifier; `droppedPackets` has these too.
  public var sentDropped = Dropped()
  public var receivedDropped = Dropped()

  public struct Dropped: Sendable, Hashable {
    public var packets: UInt64 = 0
    public var bytes: UInt64 = 0
    public init() {}

    init(_ counts: [DropStatistics.Count]) {
      packets = counts.reduce(0) { $0 + $1.packets }
      bytes = counts.reduce(0) { $0 + $1.bytes }
    }

    public static func += (left: inout Dropped, right: Dropped) {
      left.packets += right.packets
      left.bytes += right.bytes
    }
  }

  public init(
    sentBytes: UInt64, sentPackets: UInt64, receivedBytes: UInt64, receivedPackets: UInt64,
    droppedPackets: UInt64
  ) {
    self.sentBytes = sentBytes
    self.sentPackets = sentPackets
    self.receivedBytes = receivedBytes
    self.receivedPackets = receivedPackets
    self.droppedPackets = droppedPackets
  }

  /// The link counts what the slice sent before the classifier sees it: takes off what was dropped,
  /// so that the figures are of what has passed.
  public mutating func account(for drops: DropStatistics) {
    func less(_ count: UInt64, _ dropped: UInt64) -> UInt64 { count - min(dropped, count) }
    sentDropped = Dropped(drops.sent)
    receivedDropped = Dropped(drops.received)
    sentBytes = less(sentBytes, sentDropped.bytes)
    sentPackets = less(sentPackets, sentDropped.packets)
    droppedPackets += sentDropped.packets + receivedDropped.packets
  }
}

/// Links, addresses and routes of the host, through one netlink socket.
public final class NetworkControl: Sendable {
  // A pointer that only `withContext` uses, under the lock: one thread at a time (cnetlink.h).
  private struct Context: @unchecked Sendable { let pointer: OpaquePointer }
  private let context: Mutex<Context>

  /// Must be made by a thread in the host's network namespace.
  public init() throws(SliceError) {
    var pointer: OpaquePointer?
    try network("open a netlink socket") { cnl_open(&pointer, $0) }
    context = Mutex(Context(pointer: pointer!))
  }

  /// Claims the calling thread's network namespace: two supervisors would take each other's links for
  /// orphans. The claim lasts as long as the descriptor.
  ///
  /// - Throws: `failed` when another one has it.
  public static func claim() throws(SliceError) -> OwnedFD {
    var descriptor: Int32 = -1
    do throws(SliceError) {
      try network("this network namespace") { error in
        descriptor = cnl_host_claim(error)
        return min(descriptor, 0)
      }
    } catch {
      throw SliceError(
        error.code, error.message,
        hint:
          "another sliced runs in it: stop that one, or give this one a namespace of its own ('unshare --net', see sliced(8))"
      )
    }
    return OwnedFD(adopting: descriptor)
  }

  /// Of another namespace: what is said of the host below is said of that.
  public init(in namespace: NetworkNamespace) throws(SliceError) {
    var pointer: OpaquePointer?
    try network("open a netlink socket") {
      cnl_open_in(namespace.descriptor.rawValue, &pointer, $0)
    }
    context = Mutex(Context(pointer: pointer!))
  }

  deinit { context.withLock { cnl_close($0.pointer) } }

  func withContext(
    _ object: String, _ call: (OpaquePointer, UnsafeMutablePointer<cnl_error>) -> Int32
  ) throws(SliceError) {
    try context.withLock { (held) throws(SliceError) in
      try network(object) { call(held.pointer, $0) }
    }
  }

  /// The context alone, for a call that needs two.
  func withRawContext(_ call: (OpaquePointer) -> Int32) -> Int32 {
    context.withLock { call($0.pointer) }
  }

  // MARK: - The host

  /// The pools' gateways on loopback, and the rest of the pools unreachable. Refuses a pool that
  /// overlaps with what the host has.
  public func installPools(_ pools: [AddressPool]) throws(SliceError) {
    for pool in pools {
      var flat = pool.flat
      do throws(SliceError) {
        try withContext("address pool \(pool)") { cnl_pool_check($0, &flat, $1) }
      } catch {
        throw SliceError(
          error.code, error.message,
          hint:
            "choose a network that this host has no address in and no route to: pool4, pool6 in /etc/slices/node.toml"
        )
      }
      try withContext("address pool \(pool)") { cnl_pool_install($0, &flat, $1) }
    }
  }

  /// Refuses addresses of the pools that are in use.
  public func requireFree(_ addresses: SliceAddresses) throws(SliceError) {
    let list =
      [(AF_INET, addresses.ipv4.bytes, addresses.ipv4.description)]
      + (addresses.ipv6.map { [(AF_INET6, $0.bytes, $0.description)] } ?? [])
    for (family, bytes, text) in list {
      let padded = bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
      do throws(SliceError) {
        try withContext("address \(text)") { cnl_pool_check_address($0, family, padded, $1) }
      } catch {
        throw SliceError(
          error.code, error.message,
          hint: "the pools are the slices' alone; 'ip route get \(text)' shows who has it")
      }
    }
  }

  /// Makes the host forward packets, which slices need to reach each other and the world.
  public func enableForwarding(ipv6: Bool) throws(SliceError) {
    var previous = cnl_forwarding()
    try withContext("forwarding") { cnl_forwarding_enable($0, ipv6, &previous, $1) }
  }

  /// Names of the links with a default route.
  public func uplinks() throws(SliceError) -> [(name: String, ipv4: Bool, ipv6: Bool)] {
    var found = [cnl_uplink](repeating: cnl_uplink(), count: Int(CNL_MAX_UPLINKS))
    var count = 0
    try withContext("list uplinks") { cnl_uplinks($0, &found, &count, $1) }
    return found.prefix(min(count, found.count)).map { uplink in
      let name = withUnsafeBytes(of: uplink.name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      return (name, uplink.ipv4, uplink.ipv6)
    }
  }

  // MARK: - A slice's link

  /// Makes the pair of which one end is the host's, and `eth0` in the namespace the other, with
  /// addresses and routes. Returns the index of the host's end. With a classifier nothing passes until
  /// that admits the link.
  public func createLink(
    _ slice: SliceLink, in namespace: NetworkNamespace, classifier: Classifier?
  ) throws(SliceError) -> UInt32 {
    var link = cnl_link()
    fill(&link.name, with: slice.name)
    link.mtu = slice.node?.mtu ?? 1500
    link.shared = slice.node != nil
    fill(&link.slice_mac, with: slice.sliceMAC)
    fill(&link.host_mac, with: SliceLink.hostMAC)
    link.ipv4.present = true
    fill(&link.ipv4.slice, with: slice.addresses.ipv4.bytes)
    fill(&link.ipv4.gateway, with: slice.gateways.ipv4.bytes)
    if let own = slice.addresses.ipv6, let gateway = slice.gateways.ipv6 {
      link.ipv6.present = true
      fill(&link.ipv6.slice, with: own.bytes)
      fill(&link.ipv6.gateway, with: gateway.bytes)
    }
    var handle = namespace.handle
    var index: Int32 = 0
    try withContext("link \(slice.name)") { context, error in
      guard var programs = classifier?.programs else {
        return cnl_link_create(context, &handle, &link, &index, error)
      }
      return withUnsafePointer(to: &programs) {
        link.classifier = $0
        return cnl_link_create(context, &handle, &link, &index, error)
      }
    }
    return UInt32(index)
  }

  /// Puts a classifier on a link that exists, in place of the one that is there. Returns the index
  /// of the host's end; nil: there is no such link any more.
  public func attach(_ classifier: Classifier, to name: String) throws(SliceError) -> UInt32? {
    let index = if_nametoindex(name)
    guard index != 0 else { return nil }
    var programs = classifier.programs
    try withContext("link \(name)") { cnl_classifier_attach($0, Int32(index), &programs, $1) }
    return index
  }

  /// Puts the classifier's programs on a link to the world. False: there is no such link any more.
  @discardableResult
  public func attach(_ classifier: Classifier, toUplink name: String) throws(SliceError) -> Bool {
    let index = if_nametoindex(name)
    guard index != 0 else { return false }
    var programs = classifier.programs
    try withContext("uplink \(name)") { cnl_uplink_attach($0, Int32(index), &programs, $1) }
    return true
  }

  /// Whether a classifier's programs are on a link to the world.
  public func hasClassifier(onUplink name: String) throws(SliceError) -> Bool {
    try program(on: name, cnl_uplink_find) != nil
  }

  /// The ids of a program on one of the links whose name starts with `prefix`, and on the uplinks:
  /// through them all maps are found.
  public func runningClassifier(prefix: String) throws(SliceError) -> [UInt32] {
    var found: [UInt32] = []
    for name in try links(prefix: prefix) {
      guard let program = try program(on: name, cnl_classifier_find) else { continue }
      found.append(program)
      break
    }
    for uplink in try uplinks() {
      for find in [cnl_uplink_find, cnl_uplink_find_leaving] {
        if let program = try program(on: uplink.name, find) { found.append(program) }
      }
    }
    return found
  }

  private func program(
    on name: String,
    _ find: (OpaquePointer?, Int32, UnsafeMutablePointer<UInt32>?, UnsafeMutablePointer<cnl_error>?)
      -> Int32
  ) throws(SliceError) -> UInt32? {
    let index = if_nametoindex(name)
    guard index != 0 else { return nil }
    var program: UInt32 = 0
    try withContext("link \(name)") { find($0, Int32(index), &program, $1) }
    return program == 0 ? nil : program
  }

  /// One that does not exist is fine.
  public func deleteLink(_ name: String) throws(SliceError) {
    try withContext("link \(name)") { cnl_link_delete($0, name, $1) }
  }

  /// Many for about the price of one. Those that do not exist are passed over.
  public func deleteLinks(_ names: [String]) throws(SliceError) {
    guard !names.isEmpty else { return }
    var list = [NameArray](repeating: noName, count: names.count)
    for (index, name) in names.enumerated() { fill(&list[index], with: name) }
    try withContext("links \(names.joined(separator: ", "))") { context, error in
      list.withUnsafeBufferPointer {
        cnl_link_delete_many(context, $0.baseAddress, names.count, error)
      }
    }
  }

  /// Whether a link of this name is there.
  public static func exists(_ name: String) -> Bool { if_nametoindex(name) != 0 }

  /// The names of the host's ends that start with `prefix`.
  public func links(prefix: String) throws(SliceError) -> [String] {
    var capacity = 64
    while true {
      let buffer = UnsafeMutableRawPointer.allocate(
        byteCount: capacity * Int(CNL_NAME_SIZE), alignment: 1)
      defer { buffer.deallocate() }
      let names = buffer.assumingMemoryBound(to: NameArray.self)
      var count = 0
      try withContext("list links") {
        cnl_link_list($0, prefix, names, capacity, &count, $1)
      }
      if count > capacity {
        capacity = count + 64
        continue
      }
      return (0..<count).map { index in
        let start = buffer.advanced(by: index * Int(CNL_NAME_SIZE))
        return String(cString: start.assumingMemoryBound(to: CChar.self))
      }
    }
  }

  public func statistics(_ name: String) throws(SliceError) -> LinkStatistics {
    var found = cnl_statistics()
    try withContext("statistics of \(name)") { cnl_link_statistics($0, name, &found, $1) }
    return LinkStatistics(found)
  }

  /// Those of all links whose name starts with `prefix`, by what follows it; one request.
  public func statistics(prefix: String) throws(SliceError) -> [String: LinkStatistics] {
    var found = [cnl_link_counters](repeating: cnl_link_counters(), count: 64)
    while true {
      var count = 0
      try withContext("statistics of links") {
        cnl_link_statistics_list($0, prefix, &found, found.count, &count, $1)
      }
      if count > found.count {
        found = [cnl_link_counters](repeating: cnl_link_counters(), count: count + 64)
        continue
      }
      var result: [String: LinkStatistics] = [:]
      for link in found[..<count] {
        let name = withUnsafeBytes(of: link.name) {
          String(decoding: $0.prefix { $0 != 0 }.dropFirst(prefix.utf8.count), as: UTF8.self)
        }
        result[name] = LinkStatistics(link.statistics)
      }
      return result
    }
  }
}

extension LinkStatistics {
  fileprivate init(_ found: cnl_statistics) {
    self.init(
      sentBytes: found.sent_bytes, sentPackets: found.sent_packets,
      receivedBytes: found.received_bytes, receivedPackets: found.received_packets,
      droppedPackets: found.dropped_packets)
  }
}

/// `char[CNL_NAME_SIZE]`
private typealias NameArray = (
  CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar,
  CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar
)
private let noName: NameArray = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)

/// A pool of either family, with its first address as the gateway.
public enum AddressPool: Sendable, Hashable {
  case ipv4(AddressPool4)
  case ipv6(AddressPool6)

  var flat: cnl_pool {
    var pool = cnl_pool()
    switch self {
    case .ipv4(let four):
      pool.family = AF_INET
      pool.length = UInt8(four.prefixLength)
      fill(&pool.prefix, with: four.network.bytes)
      fill(&pool.gateway, with: four.gateway.bytes)
    case .ipv6(let six):
      pool.family = AF_INET6
      pool.length = UInt8(six.prefixLength)
      fill(&pool.prefix, with: six.network.bytes)
      fill(&pool.gateway, with: six.gateway.bytes)
    }
    return pool
  }
}

extension AddressPool: CustomStringConvertible {
  public var description: String {
    switch self {
    case .ipv4(let pool): pool.description
    case .ipv6(let pool): pool.description
    }
  }
}
