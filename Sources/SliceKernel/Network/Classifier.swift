import CClassifier
import CNetlink
import Descriptor
import Glibc
import SliceModel
import Synchronization

/// The program on the host's end of every link that decides which packets of a slice pass
/// (CShims/classifier/classifier.bpf.c), with its policy.
public final class Classifier: Sendable {
  // A pointer to what never changes once it is made; the kernel's maps take care of themselves.
  struct Handle: @unchecked Sendable { let pointer: OpaquePointer }
  let handle: Handle
  /// What the policy allows, which no slice withdraws.
  private let permanent = Mutex<Set<NetworkPolicy.Service>>([])
  /// Indices of the links that were admitted, by name.
  let links = Mutex<[String: UInt32]>([:])
  /// What has been put into the maps for single links, by name.
  let allowances = Mutex<[String: LinkAllowances]>([:])
  /// Held while ports change hands.
  private let ports = Mutex<Void>(())

  /// What a slice has that shares the node's address.
  public struct Share: Sendable {
    public var namespace: NetworkNamespace
    public var ports: PortRanges
    public init(namespace: NetworkNamespace, ports: PortRanges) {
      self.namespace = namespace
      self.ports = ports
    }
  }

  /// Loads the programs. `running` are the ids of those of an earlier supervisor, whose counters and
  /// slices are taken over; what is reachable is always as `policy` says.
  public init(
    object path: String, running: [UInt32], policy: NetworkPolicy
  ) throws(SliceError) {
    var pointer: OpaquePointer?
    try classifying("the classifier") { ccl_open(path, running, running.count, &pointer, $0) }
    handle = Handle(pointer: pointer!)
    for rule in policy.rules {
      try classifying("network \(rule.network)") {
        ccl_set_network(
          handle.pointer, rule.network.bytes, UInt32(rule.network.mappedLength), rule.isAllowed, $0)
      }
    }
    try allow(policy.services)
  }

  /// Lets slices use these beside what the policy allows, for good.
  public func allow(_ services: [NetworkPolicy.Service]) throws(SliceError) {
    permanent.withLock { $0.formUnion(services) }
    try open(services)
  }

  /// Lets slices use these; from an address of a slice's own, also lets it answer.
  public func open(_ services: some Sequence<NetworkPolicy.Service>) throws(SliceError) {
    for service in services {
      try classifying("port \(service.port)/\(service.transport)") {
        ccl_add_service(
          handle.pointer, service.address, service.port, service.transport.number, $0)
      }
    }
  }

  /// The opposite. What the policy allows stays.
  public func close(_ services: some Sequence<NetworkPolicy.Service>) throws(SliceError) {
    let kept = permanent.withLock { $0 }
    for service in services where !kept.contains(service) {
      try classifying("port \(service.port)/\(service.transport)") {
        ccl_remove_service(
          handle.pointer, service.address, service.port, service.transport.number, $0)
      }
    }
  }

  deinit { ccl_close(handle.pointer) }

  /// Throws `unenforceable` where the kernel lacks what a classifier hangs on.
  public static func requireSupport() throws(SliceError) {
    var program: Int32 = -1
    try classifying("a trial of the classifier") { error in
      program = ccl_trial_program(error)
      return min(program, 0)
    }
    let owned = OwnedFD(adopting: program)
    let place = try NetworkNamespace(ipv6: false)
    var handle = place.handle
    var programs = cnl_classifier(
      from_slice: owned.rawValue, to_slice: owned.rawValue, from_uplink: owned.rawValue,
      to_uplink: owned.rawValue)
    try network("a trial of the classifier") { cnl_classifier_try(&handle, &programs, $0) }
  }

  var programs: cnl_classifier {
    cnl_classifier(
      from_slice: ccl_from_slice(handle.pointer), to_slice: ccl_to_slice(handle.pointer),
      from_uplink: ccl_from_uplink(handle.pointer), to_uplink: ccl_to_uplink(handle.pointer))
  }

  /// Lets the packets of a slice pass, as far as they are its own. Before, its link drops all.
  ///
  /// - Parameter share: where the link's addresses are the node's own, too.
  public func admit(
    _ link: SliceLink, index: UInt32, owner: UInt32, share: Share? = nil
  ) throws(SliceError) {
    var entry = ccl_slice()
    entry.class = TrafficControl.handle(number: link.number)
    fill(&entry.mac, with: link.sliceMAC)
    fill(&entry.host_mac, with: SliceLink.hostMAC)
    entry.owner = owner
    fill(&entry.ipv4, with: link.addresses.ipv4.mappedBytes)
    fill(&entry.gateway4, with: link.gateways.ipv4.mappedBytes)
    if let own = link.addresses.ipv6, let gateway = link.gateways.ipv6 {
      entry.has_ipv6 = true
      fill(&entry.ipv6, with: own.bytes)
      fill(&entry.gateway6, with: gateway.bytes)
    }
    if let share {
      entry.shared = true
      entry.namespace = try share.namespace.cookie()
    }
    try classifying("link \(link.name)") { ccl_admit(handle.pointer, index, &entry, $0) }
    links.withLock { $0[link.name] = index }
    if let share { try give(share.ports, to: link.name) }
  }

  /// Has a slice that shares the node's address have these ports and no others.
  public func give(_ ports: PortRanges, to link: String) throws(SliceError) {
    guard let index = links.withLock({ $0[link] }) else { return }
    let flat = ports.ranges.map { ccl_ports(first: $0.lowerBound, last: $0.upperBound) }
    try self.ports.withLock { (_) throws(SliceError) in
      try classifying("ports of \(link)") {
        ccl_set_ports(handle.pointer, index, flat, flat.count, $0)
      }
    }
  }

  /// Has bind(2) fail for ports that are not a slice's, in all cgroups below this one.
  public func guardBinds(in cgroup: SharedFD) throws(SliceError) {
    try classifying("ports of slices") { ccl_guard_binds(handle.pointer, cgroup.rawValue, $0) }
  }

  /// Forgets a link, and returns its index. One that is not known is fine: nil.
  @discardableResult
  public func dismiss(_ link: String) throws(SliceError) -> UInt32? {
    guard let index = links.withLock({ $0[link] }) else {
      try withdrawAllowances(link)
      return nil
    }
    // First, so that whatever fails nothing passes; what failed can be tried again.
    try ports.withLock { (_) throws(SliceError) in
      try classifying("link \(link)") { ccl_dismiss(handle.pointer, index, $0) }
    }
    links.withLock { $0[link] = nil }
    try withdrawAllowances(link)
    return index
  }

  /// Forgets all that an earlier supervisor admitted and this one has not.
  public func dismissOthers() throws(SliceError) {
    try ports.withLock { (_) throws(SliceError) in
      let known = links.withLock { Array($0.values) }
      try classifying("former links") { ccl_retain(handle.pointer, known, known.count, $0) }
    }
  }
}

/// Runs a call of the classifier's shim; its error as a `SliceError` said of `object`.
func classifying(
  _ object: String, _ call: (UnsafeMutablePointer<ccl_error>) -> Int32
) throws(SliceError) {
  var error = ccl_error()
  let result = call(&error)
  guard result < 0 else { return }
  let operation = error.operation.map { String(cString: $0) } ?? "BPF call"
  let detail = withUnsafeBytes(of: error.detail) { bytes in
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
  let reason = SystemError(code: -result, operation: operation, subject: detail)
  switch -result {
  case EOPNOTSUPP:
    throw SliceError(
      .unenforceable, "\(object): \(reason)",
      hint: "the kernel needs CONFIG_BPF_SYSCALL, CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS")
  case ENOENT where operation == "open the classifier":
    throw SliceError(.failed, "\(object): \(reason)", hint: "is the installation complete?")
  default: throw SliceError(.failed, "\(object): \(reason)")
  }
}
