import SliceKernel
import SliceModel
import Synchronization

/// The commands that clients have running in slices, by id, so that they can be signalled.
final class ExecutionTable: Sendable {
  struct Execution: Sendable {
    var owner: UInt32
    var process: PidFD
    /// To be closed by whoever asks it to end; nil: nobody waits for that.
    var ending: ClosableFD?
  }
  private struct State {
    var next: UInt64 = 1
    var entries: [String: Execution] = [:]
  }
  private let state = Mutex(State())

  func add(_ process: PidFD, owner: UInt32, ending: ClosableFD?) -> String {
    state.withLock { state in
      let id = "x\(state.next)"
      state.next += 1
      state.entries[id] = Execution(owner: owner, process: process, ending: ending)
      return id
    }
  }

  func remove(_ id: String) { state.withLock { $0.entries[id] = nil } }

  /// One that this user started.
  func execution(_ id: String, owner: UInt32) throws(SliceError) -> Execution {
    guard let entry = state.withLock({ $0.entries[id] }), entry.owner == owner else {
      throw SliceError(.failed, "there is no execution '\(id.escapedForTerminal)' of yours")
    }
    return entry
  }
}
