import SliceKernel
import SliceModel
import Synchronization

/// The commands that clients have running in slices, by id, so that they can be signalled.
final class ExecutionTable: Sendable {
  private struct Entry: Sendable {
    var owner: UInt32
    var process: PidFD
  }
  private struct State {
    var next: UInt64 = 1
    var entries: [String: Entry] = [:]
  }
  private let state = Mutex(State())

  func add(_ process: PidFD, owner: UInt32) -> String {
    state.withLock { state in
      let id = "x\(state.next)"
      state.next += 1
      state.entries[id] = Entry(owner: owner, process: process)
      return id
    }
  }

  func remove(_ id: String) { state.withLock { $0.entries[id] = nil } }

  /// The process of an execution that this user started.
  func process(_ id: String, owner: UInt32) throws(SliceError) -> PidFD {
    guard let entry = state.withLock({ $0.entries[id] }), entry.owner == owner else {
      throw SliceError(.failed, "there is no execution '\(id.escapedForTerminal)' of yours")
    }
    return entry.process
  }
}
