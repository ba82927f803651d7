import CKernel
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// A slice in memory: its record, its process while it runs, and who may change it when. Changed by
/// its `Node` alone.
public final class ManagedSlice: Sendable {
  public let name: SliceName
  public let layout: SliceLayout
  /// Its record's.
  let number: Int
  /// Held by whoever starts, stops, changes or removes the slice.
  let gate = OperationGate()
  /// What was seen of its memory in this run.
  let memory: Mutex<SeenMemory>

  private struct State {
    var record: SliceRecord
    var process: PidFD?
    /// For its first start, made in advance.
    var namespaces: SliceNamespaces?
    /// How often in a row its slice-init was killed.
    var revivals: UInt32 = 0
    /// What a change under way will make of the settings.
    var pending: Settings?
    /// Its record has been taken away, for good.
    var isErased = false
    /// While it is being stopped: when its grace is over, on the monotonic clock.
    var graceEnds: UInt64?
  }
  private let state: Mutex<State>
  /// Sent when a run has ended.
  private let ended = Broadcast()
  /// Held while the record is written: the end of a run is noted beside whoever holds the gate.
  private let writing = Mutex<Void>(())

  /// - Parameter namespaces: of its number, made in advance.
  init(_ record: SliceRecord, layout: SliceLayout, namespaces: SliceNamespaces? = nil) {
    // The name was checked when the record was made or read.
    name = try! SliceName(record.name)
    self.layout = layout
    number = record.number
    state = Mutex(State(record: record, namespaces: namespaces))
    var seen = SeenMemory()
    seen.all.kills = record.outOfMemory?.kills ?? 0
    memory = Mutex(seen)
  }

  public var record: SliceRecord { state.withLock { $0.record } }

  /// slice-init, while the slice runs.
  var process: PidFD? { state.withLock { $0.process } }

  /// Those made in advance, once.
  func takeNamespaces() -> SliceNamespaces? {
    state.withLock { state in
      defer { state.namespaces = nil }
      return state.namespaces
    }
  }

  var lease: Lease? { state.withLock { $0.record.lease } }

  var settings: Settings { state.withLock { $0.record.spec.settings } }

  /// What it holds of the node.
  var holding: Holding {
    state.withLock {
      Holding(
        owner: $0.record.owner, settings: $0.record.spec.settings, pending: $0.pending)
    }
  }

  /// Claims what a change will need; nil: it is through. The gate is held.
  func claim(_ settings: Settings?) { state.withLock { $0.pending = settings } }

  func update(_ change: (inout SliceRecord) -> Void) {
    state.withLock { change(&$0.record) }
  }

  func began(_ process: PidFD, _ run: SliceRecord.Run) {
    memory.withLock { $0 = SeenMemory() }
    state.withLock {
      $0.process = process
      $0.record.run = run
      $0.record.ended = nil
      $0.record.outOfMemory = nil
      $0.record.wanted = .running
    }
  }

  func adopt(_ process: PidFD) { state.withLock { $0.process = process } }

  /// Seconds to wait before it is started again: 1, doubled each time up to a minute.
  func nextRevival(afterGoodRun: Bool) -> UInt32 {
    state.withLock { state in
      if afterGoodRun { state.revivals = 0 }
      defer { state.revivals += 1 }
      return min(60, 1 << min(state.revivals, 6))
    }
  }

  /// Begins the grace of a stop.
  func beginGrace(milliseconds: UInt64) {
    state.withLock { $0.graceEnds = kernel_monotonic() + milliseconds * 1_000_000 }
  }

  /// Shortens the grace of a stop that is under way, so that who asks for less need not wait for
  /// who asked for more.
  func shortenGrace(milliseconds: UInt64) {
    let end = kernel_monotonic() + milliseconds * 1_000_000
    state.withLock { $0.graceEnds = $0.graceEnds.map { min($0, end) } }
  }

  /// Waits until no run is on record; false when the grace is over first.
  func awaitEndOfGrace() -> Bool {
    defer { state.withLock { $0.graceEnds = nil } }
    while !awaitEnd(milliseconds: 100) {
      guard let end = state.withLock({ $0.graceEnds }), kernel_monotonic() < end else {
        return false
      }
    }
    return true
  }

  /// Puts the record as it is now to `write`; one writer at a time, so that the newest is the last.
  func save(_ write: (SliceRecord) throws(SliceError) -> Void) throws(SliceError) {
    try writing.withLock { (_) throws(SliceError) in
      if !isErased { try write(record) }
    }
  }

  var isErased: Bool { state.withLock { $0.isErased } }

  /// Has `remove` take the record away, after which none is written again.
  func erase(_ remove: () throws(SliceError) -> Void) throws(SliceError) {
    try writing.withLock { (_) throws(SliceError) in
      try remove()
      state.withLock { $0.isErased = true }
    }
  }

  /// The opposite; it is still to be saved.
  func unerase() { state.withLock { $0.isErased = false } }

  /// Notes the end of the run. `first` gets the record with it: to write it and tell of it before
  /// those who wait for the end go on to change or remove the slice.
  ///
  /// - Parameter exitedAt: when, in nanoseconds since 1970, if it is known better than "just now".
  func conclude(
    _ exit: ExitStatus, reason: String? = nil, exitedAt: UInt64? = nil,
    first: (SliceRecord) -> Void = { _ in }
  ) {
    func end(_ record: inout SliceRecord) {
      record.end(
        exit, stopped: reason == nil && record.wanted == .stopped, reason: reason,
        exitedAt: exitedAt)
    }
    writing.withLock { _ in
      var record = self.record
      end(&record)
      first(record)
      state.withLock {
        // Not a copy of what was written: something else may have been changed meanwhile.
        end(&$0.record)
        $0.process = nil
      }
    }
    ended.send()
  }

  /// The process of a slice that runs and is not frozen: nothing inside a frozen one answers.
  func requireRunning() throws(SliceError) -> PidFD {
    let process = try requireStarted()
    guard record.run?.paused != true else {
      throw SliceError(
        .failed, "slice '\(name)' is paused", hint: "'slicectl resume \(name)' lets it go on")
    }
    return process
  }

  /// The process of a slice that runs or is frozen.
  @discardableResult
  func requireStarted() throws(SliceError) -> PidFD {
    let (record, process) = state.withLock { ($0.record, $0.process) }
    guard let process, record.run != nil else {
      throw SliceError(
        .failed, "slice '\(name)' is not running", hint: "'slicectl start \(name)' starts it")
    }
    return process
  }

  /// Waits until no run is on record; false when that takes longer.
  func awaitEnd(milliseconds: Int) -> Bool {
    ended.wait(nanoseconds: UInt64(max(0, milliseconds)) * 1_000_000) {
      state.withLock { $0.record.run == nil }
    }
  }
}
