import Glibc
import SliceInterface
import SliceModel
import SliceRuntime
import Synchronization

/// What happened lately, for `events`: the newest thousand, numbered from the start.
final class EventLog: Sendable {
  static let capacity = 1000

  private struct Entry: Sendable {
    var number: UInt64
    var owner: UInt32?
    var event: Event
  }
  private struct State {
    var next: UInt64 = 0
    var entries: [Entry] = []
  }
  private let state = Mutex(State())

  /// Without an owner it is the administrators' business.
  func record(_ event: NodeEvent) {
    let entry = Event(
      time: Clock.text(Clock.now), slice: event.slice?.text, kind: event.kind, by: event.by,
      details: event.details)
    state.withLock { state in
      state.entries.append(Entry(number: state.next, owner: event.owner, event: entry))
      state.next += 1
      if state.entries.count > Self.capacity {
        state.entries.removeFirst(state.entries.count - Self.capacity)
      }
    }
  }

  /// Those from `number` on that the subject may see, and the number to go on from.
  func since(
    _ number: UInt64, for subject: Authorization.Subject
  ) -> (events: [Event], next: UInt64) {
    state.withLock { state in
      let visible = state.entries.filter {
        $0.number >= number && (subject.isAdministrator || $0.owner == subject.caller.user)
      }
      return (visible.map(\.event), state.next)
    }
  }
}
