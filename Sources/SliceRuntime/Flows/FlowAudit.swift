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

  /// Held for all of a turn, and so while a disk takes its time.
  private struct Turns: Sendable {
    /// Nil where nothing is to be kept.
    var files: FlowFiles?
    var loss = Loss(records: 0, packets: 0, goesOn: false)
    var last = kernel_monotonic()
    /// Is called with the kind and the details of an event.
    var notify: @Sendable (String, [String: String]) -> Void = { _, _ in }
  }
  private let turns: Mutex<Turns>
  /// Held for moments alone: whoever starts a slice waits for it.
  private let senders: Mutex<FlowSenders>
  private let classifier: Classifier

  init(
    layout: NodeLayout, terms: FlowTerms, classifier: Classifier
  ) throws(SliceError) {
    self.classifier = classifier
    let isKept = terms.days > 0
    let (files, known) = try reporting("open the flow audit") { () throws(SystemError) in
      if !isKept { try Files.removeTree(layout.flows) }
      return (
        isKept ? try FlowFiles(directory: layout.flows, terms: terms) : nil,
        try FlowSenders(path: layout.flowSenders)
      )
    }
    turns = Mutex(Turns(files: files))
    senders = Mutex(known)
  }

  /// Takes turns on a thread of its own, for the life of this process.
  ///
  /// - Parameter notify: is called, on any thread, with the kind and the details of an event. It must not
  ///   ask this audit.
  func start(_ notify: @escaping @Sendable (String, [String: String]) -> Void) throws(SliceError) {
    turns.withLock { $0.notify = notify }
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "flow-audit", stackSize: 256 << 10) { [self] in
        // Both maps, of which an earlier supervisor may have left either.
        turns.withLock { collect(&$0) }
        while true {
          turns.withLock { collect(&$0) }
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
    try senders.withLock { (senders) throws(SliceError) in
      try reporting("note whose link \(index) is") { () throws(SystemError) in
        try senders.admit(index, sender)
      }
    }
  }

  func dismiss(link index: UInt32) { senders.withLock { $0.dismiss(index) } }

  // MARK: - Turns

  private func collect(_ turns: inout Turns) {
    let now = kernel_monotonic()
    let offset = Clock.now - now
    func milliseconds(_ monotonic: UInt64) -> UInt64 { (monotonic + offset) / 1_000_000 }

    var records: [UInt32: [FlowRecord]] = [:]
    var rests: [(link: UInt32, packets: UInt64, bytes: UInt64)] = []
    do {
      try classifier.takeDepartures { departure in
        // Was made known before anything could be counted under it.
        let link = departure.link
        let known = senders.withLock { $0.links[link] }
        var record = FlowRecord(
          first: milliseconds(departure.first), last: milliseconds(departure.last),
          sender: known?.sender ?? Self.unknown, address: nil, ports: nil,
          packets: departure.packets, bytes: departure.bytes)
        switch departure.detail {
        case .full(let address, let ports): (record.address, record.ports) = (address, ports)
        case .address(let address): record.address = address
        case .rest:
          let more = known?.since(packets: departure.packets, bytes: departure.bytes)
          if let more { (record.packets, record.bytes) = more }
          guard record.packets > 0 else { return }
          record.first = milliseconds(turns.last)
          rests.append((link, departure.packets, departure.bytes))
        }
        records[link, default: []].append(record)
      }
    } catch {
      // What was not taken comes with the next turn.
      return
    }
    turns.last = now
    var kept: [FlowRecord] = []
    for (link, list) in records { kept += senders.withLock { $0.spend(link, list) } }
    write(kept, &turns)
    // Of what follows nothing can fail but for want of memory or of room on a tmpfs; then what was
    // counted by the slice alone may show twice, after the next start.
    let gone = senders.withLock { senders in
      for rest in rests where senders.links[rest.link] != nil {
        try? senders.settle(rest.link, packets: rest.packets, bytes: rest.bytes)
      }
      return (try? senders.forget()) ?? []
    }
    let nobodys = rests.map(\.link).filter { link in senders.withLock { $0.links[link] == nil } }
    for link in gone + nobodys { try? classifier.forgetDepartures(link) }
  }

  /// Of a link that nobody has told of.
  private static let unknown = FlowSender(slice: "?", number: 0, owner: 0, ownerName: "?")

  private func write(_ records: [FlowRecord], _ turns: inout Turns) {
    guard var files = turns.files else { return }
    defer { turns.files = files }
    do throws(SystemError) {
      var lines: [UInt8] = []
      for record in records {
        lines += record.line.utf8
        lines.append(UInt8(ascii: "\n"))
      }
      try files.rotate(before: lines.count)
      guard !lines.isEmpty else { return }
      try files.append(lines)
      if turns.loss.goesOn { turns.notify("flows-kept", ["lost": "\(turns.loss.records)"]) }
      turns.loss.goesOn = false
    } catch {
      if !turns.loss.goesOn { turns.notify("flows-lost", ["reason": "\(error)"]) }
      turns.loss.records += UInt64(records.count)
      turns.loss.packets += records.reduce(0) { $0 + $1.packets }
      turns.loss.goesOn = true
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
    let (readers, loss) = try turns.withLock { (turns) throws(SliceError) in
      collect(&turns)
      let readers = try reporting("open the flow audit's files") { () throws(SystemError) in
        try turns.files?.open(since: filter.since) ?? []
      }
      return (readers, turns.loss)
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
