import Glibc
import SliceInterface
import SliceModel
import SliceRuntime
import Varlink

extension Request {
  func list() throws {
    let visible = node.records().filter(subject.maySee)
    try call.reply(ListCall.Reply(slices: visible.map(reports.summary)))
  }

  func inspect() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let slice = try authorizedSlice(parameters.name)
    try call.reply(InspectCall.Reply(slice: reports.inspection(slice.record)))
  }

  func shares() throws {
    let parameters = try call.parameters(as: SharesCall.Parameters.self)
    let all = node.records()
    let wanted: [SliceRecord]
    if let text = parameters.name {
      wanted = [try authorizedSlice(text).record]
    } else {
      wanted = all.filter(subject.maySee)
    }
    try call.reply(
      text: ShareReports(node: node).shares(wanted, among: all, tree: parameters.tree ?? false))
  }

  func wait() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let slice = try authorizedSlice(parameters.name)
    let end = node.awaitEnd(slice) { call.isHungUp }
    var reply = WaitCall.Reply(exitCode: nil, signal: nil)
    if end?.outOfMemory == true { reply.reason = slice.record.reason }
    switch end?.status {
    case .exited(let code): reply.exitCode = Int32(code)
    case .signaled(let number): reply.signal = number
    case nil:
      throw SliceError(
        .failed, "it has not been run",
        hint: end?.reason ?? "'slicectl start \(slice.name)' starts it")
    }
    try call.reply(reply)
  }

  // MARK: - Streams

  /// How long a follower sleeps between looks, milliseconds.
  private static let followInterval: Int32 = 200

  func logs() throws {
    let parameters = try call.parameters(as: LogsCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    let reader = LogReader(slice.layout)
    let since = parameters.sinceUnixSeconds.map {
      Clock.text(UInt64(max(0, min($0, 4e9)) * 1e9))
    }
    guard call.wantsMore else {
      if parameters.follow { try call.requireMore() }
      return try replyAtOnce(reader, lines: parameters.lines, since: since)
    }
    let position = try reader.read(lines: parameters.lines, since: since, send: sendInParts)
    var idle = false
    while parameters.follow, !call.isHungUp {
      pause()
      try reader.more(position, send: sendInParts)
      // A slice that has ended writes no more: one look after its end gets the last of it.
      let ended = slice.record.run == nil
      if ended && idle { break }
      idle = ended
    }
    if !call.isHungUp { try call.reply(LogsCall.Reply(entries: [])) }
  }

  /// A message holds at most so many entries, or it could outgrow what a client takes.
  private static let entriesPerReply = 500

  private func sendInParts(_ entries: [LogEntry]) throws {
    var rest = entries[...]
    while !rest.isEmpty {
      try call.replyContinues(LogsCall.Reply(entries: Array(rest.prefix(Self.entriesPerReply))))
      rest = rest.dropFirst(Self.entriesPerReply)
    }
  }

  /// For a client that takes one reply: the newest entries, as many as one may hold.
  private func replyAtOnce(_ reader: LogReader, lines: Int?, since: String?) throws {
    var entries: [LogEntry] = []
    let most = min(lines ?? Self.entriesPerReply, Self.entriesPerReply)
    _ = try reader.read(lines: most, since: since) { entries += $0 }
    try call.reply(LogsCall.Reply(entries: entries))
  }

  func events() throws {
    let parameters = try call.parameters(as: EventsCall.Parameters.self)
    var (batch, next) = interface.events.since(0, for: subject)
    guard parameters.follow else {
      return try call.reply(EventsCall.Reply(events: batch))
    }
    try call.requireMore()
    while !call.isHungUp {
      if !batch.isEmpty { try call.replyContinues(EventsCall.Reply(events: batch)) }
      pause()
      (batch, next) = interface.events.since(next, for: subject)
    }
  }

  /// Sleeps until the next look, or until the client hangs up.
  private func pause() {
    var entry = pollfd(
      fd: call.hangUpDescriptor, events: Int16(truncatingIfNeeded: VarlinkCall.hangUpEvents),
      revents: 0)
    poll(&entry, 1, Self.followInterval)
  }
}
