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

  /// Passes recent events to `body`; with `follow` goes on until the process ends.
  public func events(follow: Bool, _ body: ([Event]) throws -> Void) throws(SliceError) {
    let parameters = EventsCall.Parameters(follow: follow)
    try stream("Events", parameters, returning: EventsCall.Reply.self) { reply, _, _ in
      try body(reply.events)
      return .next
    }
  }
}
