import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// The node's own address, as it was when it was last looked at.
final class SharedAddress: Sendable {
  private let network: NetworkControl
  private let last: Mutex<NodeAddress?>
  private let given = Mutex<NodeAddress?>(nil)
  /// Whether a slice could not be given it.
  private let owed = Atomic(false)

  init(_ network: NetworkControl) {
    self.network = network
    // Without one there may be no slice that needs it; whoever does is told why.
    last = Mutex(try? network.nodeAddress())
  }

  /// For reports: nil when it had none.
  var known: NodeAddress? { last.withLock { $0 } }

  /// Whether it is another than slices were given last; then it is theirs now.
  func hasChanged() -> Bool {
    guard let address = try? network.nodeAddress() else {
      last.withLock { $0 = nil }
      return false  // Packets that have no way end in the classifier.
    }
    last.withLock { $0 = address }
    let isOwed = owed.exchange(false, ordering: .relaxed)
    return given.withLock { given in
      defer { given = address }
      return isOwed || given != address
    }
  }

  /// Has slices be given it again at the next look.
  func owe() { owed.store(true, ordering: .relaxed) }

  /// As it is now.
  func read() throws(SliceError) -> NodeAddress {
    do throws(SliceError) {
      let address = try network.nodeAddress()
      last.withLock { $0 = address }
      given.withLock { $0 = $0 ?? address }
      return address
    } catch {
      last.withLock { $0 = nil }
      throw error
    }
  }
}

/// Slices of net.mode=shared.
extension SliceEnvironment {
  /// Refuses what they need and this host lacks; no `--allow-unenforced` can do without. `ports` are
  /// those that are new to the slice.
  func requireShared(_ ports: PortRanges?) throws(SliceError) {
    if let missing = classifierGap {
      throw SliceError(
        .unenforceable, "net.mode=shared: this host cannot divide ports (\(missing))")
    }
    let address = try nodeAddress.read()
    guard uplinks.isClassified(UInt32(address.link)) else {
      throw SliceError(
        .unenforceable,
        "net.mode=shared: the link with this host's address is not one of the links to the world that slices share",
        hint: "'slicectl events' tells of links; see uplinks in sliced(8)")
    }
    guard let ports else { return }
    // Those of a slice that was made under another policy may be what others get by chance now.
    try policy.network.sharedPorts.admit(ports, within: nil)
    do throws(SliceError) {
      try NetworkControl.requireFree(ports.ranges.joined())
    } catch {
      throw error.within("net.ports=\(ports)")
    }
  }

  /// Makes the namespaces and the link of a slice. Nothing passes yet.
  func makeShared(_ record: SliceRecord) throws(SliceError) -> SliceNamespaces {
    let bare = try maker.make(record.number, linked: false)
    try network.reserve(policy.network.sharedPorts.range)
    try bare.network.setAutomaticPorts(try record.requirePorts())
    let link = link(record.number, sharing: try nodeAddress.read())
    return SliceNamespaces(
      user: bare.user, network: bare.network,
      link: try network.createLink(link, in: bare.network, classifier: classifier))
  }

  func admitShared(
    _ record: SliceRecord, index: UInt32, _ namespace: NetworkNamespace
  ) throws(SliceError) {
    try admit(
      record, index: index, node: try nodeAddress.read(),
      share: Classifier.Share(namespace: namespace, ports: try record.requirePorts()))
  }

  /// Takes over the link of a slice that an earlier supervisor started, or of one that runs while the
  /// node's address has changed. Without an address nothing of it passes.
  func readmitShared(
    _ record: SliceRecord, index: UInt32, process: PidFD
  ) throws(SliceError) {
    let namespace = try NetworkNamespace(of: process)
    do throws(SliceError) {
      try namespace.readdress(try nodeAddress.read().addresses)
    } catch {
      guard error.code == .unenforceable else { throw error }
      return nodeAddress.owe()
    }
    try admitShared(record, index: index, namespace)
  }

  /// Changes the ports of a slice that runs. What it has bound already it keeps, without packets.
  func give(_ ports: PortRanges, _ record: SliceRecord, process: PidFD) throws(SliceError) {
    try NetworkNamespace(of: process).setAutomaticPorts(ports)
    try classifier?.give(ports, to: SliceLink.name(record.number))
  }

  /// Has bind(2) refuse ports that are not a slice's. After all slices that live were taken over.
  func guardBinds() throws(SliceError) {
    guard let classifier else { return }
    let all = try reporting("open the cgroup of all slices") { () throws(SystemError) in
      try cgroup.slices.open()
    }
    try classifier.guardBinds(in: all)
  }
}

extension SliceRecord {
  /// Of a slice that shares the node's address; each gets some when it is created.
  fileprivate func requirePorts() throws(SliceError) -> PortRanges {
    guard let ports = spec.settings.ports else {
      throw SliceError(.failed, "\(name) shares the node's address and has no ports")
    }
    return ports
  }
}
