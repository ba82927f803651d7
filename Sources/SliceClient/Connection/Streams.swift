import SliceInterface
import SliceModel

// The methods that answer more than once while they go on.
extension Supervisor {
  /// Passes entries of the slice's log to `body`, the kept ones first.
  ///
  /// - Parameters:
  ///   - lines: the last so many; nil for all that is kept.
  ///   - since: nil for all that is kept.
  ///   - follow: go on with new ones until the process ends.
  public func logs(
    _ name: SliceName, lines: Int?, since: Timestamp?, follow: Bool,
    _ body: ([LogEntry]) throws -> Void
  ) throws(SliceError) {
    let parameters = LogsCall.Parameters(
      name: name.text, lines: lines, sinceUnixSeconds: since?.unixSeconds, follow: follow)
    try stream("Logs", parameters, returning: LogsCall.Reply.self) { reply, _, _ in
      try body(reply.entries)
      return .next
    }
  }

  /// Passes what slices sent to the outside to `body`. Returns what the search came to beside it.
  public func flows(
    _ parameters: FlowsCall.Parameters, _ body: ([Flow]) throws -> Void
  ) throws(SliceError) -> (uncertain: [String: UInt64], lostRecords: UInt64) {
    var last: FlowsCall.Reply?
    try stream("Flows", parameters, returning: FlowsCall.Reply.self) { reply, _, _ in
      try body(reply.flows)
      last = reply
      return .next
    }
    return (last?.uncertain ?? [:], last?.lostRecords ?? 0)
  }

  /// Passes recent events to `body`; with `follow` goes on until the process ends.
  public func events(follow: Bool, _ body: ([Event]) throws -> Void) throws(SliceError) {
    let parameters = EventsCall.Parameters(follow: follow)
    try stream("Events", parameters, returning: EventsCall.Reply.self) { reply, _, _ in
      try body(reply.events)
      return .next
    }
  }
}
