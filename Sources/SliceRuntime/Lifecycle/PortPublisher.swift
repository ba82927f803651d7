import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Leads ports of the host to the slices that publish them, while they run: by translation, past the
/// classifier, and with the host's ports held. One change at a time, whoever asks, so that the end of a
/// slice and a change of its ports can't cross.
final class PortPublisher: Sendable {
  private struct Running {
    let link: String
    let addresses: SliceAddresses
    var ports: [PublishedPort: SharedFD] = [:]

    var publisher: Publisher? { publisher(Array(ports.keys)) }

    func publisher(_ ports: [PublishedPort]) -> Publisher? {
      ports.isEmpty ? nil : Publisher(addresses: addresses, ports: ports)
    }
  }

  private struct State {
    /// By number.
    var slices: [Int: Running] = [:]
    /// What the kernel lacks; nil: nothing.
    var gap: String?
    var isInstalled = false
  }

  private let network: NetworkControl
  private let classifier: Classifier?
  private let hasIPv6: Bool
  private let state = Mutex(State())

  init(network: NetworkControl, classifier: Classifier?, hasIPv6: Bool) {
    self.network = network
    self.classifier = classifier
    self.hasIPv6 = hasIPv6
  }

  /// Why no port can be published here; nil: they can.
  var gap: String? { state.withLock { $0.gap } }

  /// Makes the table anew, with all that is published. Where the kernel can't publish it masquerades
  /// alone, and where it can't do that slices still reach the host and each other: `doctor` says what is
  /// missing.
  ///
  /// - Parameter ports: of the host's address, for what is masqueraded.
  func install(
    _ pools: [AddressPool], linkPrefix: String, ports: Range<UInt16>
  ) throws(SliceError) {
    try state.withLock { (state) throws(SliceError) in
      let publishers = state.slices.values.compactMap(\.publisher)
      do throws(SliceError) {
        try Translation.install(
          pools, linkPrefix: linkPrefix, ports: ports, publishers: publishers)
        (state.gap, state.isInstalled) = (nil, true)
      } catch {
        guard error.code == .unenforceable else { throw error }
        state.gap = error.message
        do throws(SliceError) {
          try Translation.install(
            pools, linkPrefix: linkPrefix, ports: ports, publishers: nil)
          state.isInstalled = true
        } catch {
          guard error.code == .unenforceable else { throw error }
        }
      }
    }
  }

  /// Whether the table was there once and is gone: somebody has flushed the host's ruleset.
  var isTableLost: Bool {
    state.withLock { state in
      // What can't be asked is as it was.
      state.isInstalled && (try? Translation.isInstalled()) == false
    }
  }

  /// What is published of a slice.
  func published(_ number: Int) -> Set<PublishedPort> {
    state.withLock { Set($0.slices[number]?.ports.keys.map { $0 } ?? []) }
  }

  /// A slice has begun to run: publishes its ports, all or none.
  func begin(
    _ number: Int, link: String, addresses: SliceAddresses, ports: [PublishedPort]
  ) throws(SliceError) {
    try state.withLock { (state) throws(SliceError) in
      if state.slices[number] == nil {
        state.slices[number] = Running(link: link, addresses: addresses)
      }
      try change(&state, number, to: ports)
    }
  }

  /// A slice that runs already was found: takes its ports again, without the table, which `install`
  /// makes. Returns those that could not be had, and why.
  func adopt(
    _ number: Int, link: String, addresses: SliceAddresses, ports: [PublishedPort]
  ) throws(SliceError) -> [(port: PublishedPort, reason: SliceError)] {
    try state.withLock { (state) throws(SliceError) in
      var running = Running(link: link, addresses: addresses)
      var lost: [(PublishedPort, SliceError)] = []
      for port in ports {
        do throws(SliceError) {
          running.ports[port] = try hold(port)
        } catch {
          lost.append((port, error))
        }
      }
      try classifier?.open(running.publisher?.services ?? [])
      try network.setLoopback(classifier != nil && !running.ports.isEmpty, on: link)
      state.slices[number] = running
      return lost
    }
  }

  /// Publishes these ports of a slice instead of those that it has, all or nothing. One that does not
  /// run has none.
  func change(_ number: Int, to ports: [PublishedPort]) throws(SliceError) {
    try state.withLock { (state) throws(SliceError) in try change(&state, number, to: ports) }
  }

  /// A slice does not run any more: withdraws its ports. Fine if it has none.
  func end(_ number: Int) throws(SliceError) {
    try state.withLock { (state) throws(SliceError) in
      try change(&state, number, to: [])
      state.slices[number] = nil
    }
  }

  // MARK: - Parts

  private func hold(_ port: PublishedPort) throws(SliceError) -> SharedFD {
    do throws(SliceError) {
      return SharedFD(try .holding(port.host, ipv6: hasIPv6), label: "port \(port.host)")
    } catch {
      throw error.within("net.publish=\(port)")
    }
  }

  private func change(
    _ state: inout State, _ number: Int, to ports: [PublishedPort]
  ) throws(SliceError) {
    let wanted = Set(ports)
    guard let before = state.slices[number], state.gap == nil, Set(before.ports.keys) != wanted
    else { return }
    var after = before
    after.ports = before.ports.filter { wanted.contains($0.key) }
    // A port of the host that leads elsewhere now stays held.
    let held = Dictionary(before.ports.map { ($0.key.host, $0.value) }) { first, _ in first }
    for port in ports where after.ports[port] == nil {
      if let same = held[port.host] {
        after.ports[port] = same
      } else {
        after.ports[port] = try hold(port)
      }
    }
    var undo = Undo()
    do throws(SliceError) {
      try apply(after, insteadOf: before, &undo)
      undo.commit()
    } catch {
      throw error.leaving(undo.roll())
    }
    state.slices[number] = after
    try forgetConnections(from: before, to: after)
  }

  private func apply(
    _ after: Running, insteadOf before: Running, _ undo: inout Undo
  ) throws(SliceError) {
    let (old, new) = (before.publisher, after.publisher)
    let (closed, opened) = (old?.services ?? [], new?.services ?? [])
    undo.add("ports open to other slices") { [classifier] in
      try classifier?.close(opened.subtracting(closed))
    }
    try classifier?.open(opened.subtracting(closed))
    // Without a classifier a slice could reach what listens on the host's loopback alone.
    let loopback = classifier != nil && new != nil
    undo.add("loopback of \(after.link)") { [network] in
      try network.setLoopback(old != nil, on: after.link)
    }
    try network.setLoopback(loopback, on: after.link)
    try Translation.publish(old, new)
    undo.add("translation of ports") { try Translation.publish(new, old) }
    try classifier?.close(closed.subtracting(opened))
  }

  /// What went to ports that are withdrawn ends; what came too early for those that are published goes
  /// on.
  private func forgetConnections(from before: Running, to after: Running) throws(SliceError) {
    let gone = before.ports.keys.filter { after.ports[$0] == nil }
    if let gone = before.publisher(gone) { try Translation.forgetConnections(of: gone) }
    // TCP begins with a segment that is judged anew.
    let new = after.ports.keys.filter { before.ports[$0] == nil && $0.transport == .udp }
    try Translation.forgetUnanswered(to: new, ipv6: hasIPv6)
  }
}
