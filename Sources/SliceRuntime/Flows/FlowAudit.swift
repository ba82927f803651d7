import CKernel
import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Who sent what to whom: takes away every few seconds what the classifier has counted of what left the
/// node, and keeps it in files. Nothing of this can hold up a slice: what can't be written is
/// counted as lost.
public final class FlowAudit: Sendable {
  /// Seconds between two turns.
  private static let interval: UInt32 = 10

  /// What could not be written, since the supervisor was started.
  public struct Loss: Sendable, Hashable {
    public var records, packets: UInt64
    /// Whether it still can't.
    public var goesOn: Bool
  }

  private struct State: Sendable {
    var senders: FlowSenders
    /// Nil where nothing is to be kept.
    var files: FlowFiles?
    var loss = Loss(records: 0, packets: 0, goesOn: false)
    var lastTurn = kernel_monotonic()
    /// Is called with the kind and the details of an event.
    var notify: @Sendable (String, [String: String]) -> Void = { _, _ in }
  }
  private let state: Mutex<State>
  private let classifier: Classifier

  init(
    layout: NodeLayout, terms: FlowTerms, classifier: Classifier
  ) throws(SliceError) {
    self.classifier = classifier
    state = Mutex(
      try reporting("open the flow audit") { () throws(SystemError) in
        if terms.days == 0 { try Files.removeTree(layout.flows) }
        return State(
          senders: try FlowSenders(path: layout.flowSenders),
          files: terms.days == 0
            ? nil : try FlowFiles(directory: layout.flows, terms: terms))
      })
  }

  /// Takes turns on a thread of its own, for the life of this process.
  ///
  /// - Parameter notify: is called, on any thread, with the kind and the details of an event. It must not
  ///   ask this audit.
  func start(_ notify: @escaping @Sendable (String, [String: String]) -> Void) throws(SliceError) {
    state.withLock { $0.notify = notify }
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "flow-audit", stackSize: 256 << 10) { [self] in
        // Both maps, of which an earlier supervisor may have left either.
        state.withLock { collect(&$0) }
        while true {
          state.withLock { collect(&$0) }
          kernel_sleep(Self.interval)
        }
      }
    }
  }

  // MARK: - Links

  /// Before a link is admitted: else what it sends first would be nobody's.
  func admit(link index: UInt32, _ record: SliceRecord) throws(SliceError) {
    let sender = FlowSender(
      slice: record.name, number: record.number, owner: record.owner, ownerName: record.ownerName)
    try state.withLock { (state) throws(SliceError) in
      try reporting("note whose link \(index) is") { () throws(SystemError) in
        try state.senders.admit(index, sender)
      }
    }
  }

  func dismiss(link index: UInt32) { state.withLock { $0.senders.dismiss(index) } }

  // MARK: - Turns

  private func collect(_ state: inout State) {
    let now = kernel_monotonic()
    let offset = Clock.now - now
    func milliseconds(_ monotonic: UInt64) -> UInt64 { (monotonic + offset) / 1_000_000 }

    var records: [UInt32: [FlowRecord]] = [:]
    var rests: [(link: UInt32, packets: UInt64, bytes: UInt64)] = []
    do {
      try classifier.takeDepartures { departure in
        let link = departure.link
        var record = FlowRecord(
          first: milliseconds(departure.first), last: milliseconds(departure.last),
          sender: state.senders.links[link]?.sender ?? Self.unknown, address: nil, ports: nil,
          packets: departure.packets, bytes: departure.bytes)
        switch departure.detail {
        case .full(let address, let ports): (record.address, record.ports) = (address, ports)
        case .address(let address): record.address = address
        case .rest:
          let more = state.senders.difference(
            link, packets: departure.packets, bytes: departure.bytes)
          guard more.packets > 0 else { return }
          (record.packets, record.bytes) = more
          record.first = milliseconds(state.lastTurn)
          rests.append((link, departure.packets, departure.bytes))
        }
        records[link, default: []].append(record)
      }
    } catch {
      // What was not taken comes with the next turn.
      return
    }
    state.lastTurn = now
    var kept: [FlowRecord] = []
    for (link, list) in records { kept += state.senders.spend(link, list) }
    write(kept, &state)
    // Of what follows nothing can fail but for want of memory or of room on a tmpfs; then what was
    // counted by the slice alone may show twice, after the next start.
    for rest in rests {
      try? state.senders.settle(rest.link, packets: rest.packets, bytes: rest.bytes)
    }
    for link in (try? state.senders.forget()) ?? [] { try? classifier.forgetDepartures(link) }
  }

  /// Of a link that nobody has told of.
  private static let unknown = FlowSender(slice: "?", number: 0, owner: 0, ownerName: "?")

  private func write(_ records: [FlowRecord], _ state: inout State) {
    guard var files = state.files else { return }
    defer { state.files = files }
    do throws(SystemError) {
      var lines: [UInt8] = []
      for record in records {
        lines += record.line.utf8
        lines.append(UInt8(ascii: "\n"))
      }
      try files.rotate(before: lines.count)
      guard !lines.isEmpty else { return }
      try files.append(lines)
      if state.loss.goesOn { state.notify("flows-kept", ["lost": "\(state.loss.records)"]) }
      state.loss.goesOn = false
    } catch {
      if !state.loss.goesOn { state.notify("flows-lost", ["reason": "\(error)"]) }
      state.loss.records += UInt64(records.count)
      state.loss.packets += records.reduce(0) { $0 + $1.packets }
      state.loss.goesOn = true
    }
  }

  // MARK: - Looking

  /// What a search came to beside the records.
  public struct Summary: Sendable, Hashable {
    /// Names of slices of which so many packets were counted without what was asked for.
    public var uncertain: [String: UInt64] = [:]
    public var loss: Loss
  }

  /// Gives the records that match to `body`, in the order in which they were taken, those not yet taken
  /// included.
  public func search(
    _ filter: FlowFilter, _ body: ([FlowRecord]) throws -> Void
  ) throws -> Summary {
    let (readers, loss) = try state.withLock { (state) throws(SliceError) in
      collect(&state)
      let readers = try reporting("open the flow audit's files") { () throws(SystemError) in
        try state.files?.open(since: filter.since) ?? []
      }
      return (readers, state.loss)
    }
    var summary = Summary(loss: loss)
    for reader in readers {
      try reader.read { records in
        var found: [FlowRecord] = []
        for record in records {
          switch filter.match(record) {
          case .yes: found.append(record)
          case .no: break
          case .unknown: summary.uncertain[record.sender.slice, default: 0] += record.packets
          }
        }
        if !found.isEmpty { try body(found) }
      }
    }
    return summary
  }
}
