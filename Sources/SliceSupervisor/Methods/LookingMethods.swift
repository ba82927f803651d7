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
    let name = try authorizedSlice(parameters.name)
    try call.reply(InspectCall.Reply(slice: reports.inspection(node.record(name))))
  }

  func shares() throws {
    let parameters = try call.parameters(as: SharesCall.Parameters.self)
    let all = node.records()
    let wanted: [SliceRecord]
    if let text = parameters.name {
      wanted = [try node.record(authorizedSlice(text))]
    } else {
      wanted = all.filter(subject.maySee)
    }
    try call.reply(SharesCall.Reply(slices: ShareReports(node: node).shares(wanted, among: all)))
  }

  func wait() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let name = try authorizedSlice(parameters.name)
    let end = try node.awaitEnd(name) { call.isHungUp }
    var reply = WaitCall.Reply(exitCode: nil, signal: nil)
    switch end?.status {
    case .exited(let code): reply.exitCode = Int32(code)
    case .signaled(let number): reply.signal = number
    case nil:
      throw SliceError(
        .failed, "it has not been run",
        hint: end?.reason ?? "'slicectl start \(name)' starts it")
    }
    try call.reply(reply)
  }

  // MARK: - Streams

  /// How long a follower sleeps between looks, milliseconds.
  private static let followInterval: Int32 = 200

  func logs() throws {
    let parameters = try call.parameters(as: LogsCall.Parameters.self)
    let name = try authorizedSlice(parameters.name)
    let since = parameters.sinceUnixSeconds.map {
      Clock.text(UInt64(max(0, min($0, 4e9)) * 1e9))
    }
    if !call.wantsMore, !parameters.follow {
      // One message has to hold it all: the newest of it.
      let most = min(parameters.lines ?? .max, Self.entriesPerReply)
      let reader = try LogReader(node.layout.slice(name), lines: most, since: since)
      try call.reply(LogsCall.Reply(entries: reader.next(most)))
    } else if parameters.follow {
      try call.requireMore()
      try follow(LogReader(node.layout.slice(name), lines: parameters.lines, since: since), name)
    } else {
      let reader = try LogReader(node.layout.slice(name), lines: parameters.lines, since: since)
      var entries = try reader.next(Self.entriesPerReply)
      while !call.isHungUp {
        let more = try reader.next(Self.entriesPerReply)
        if more.isEmpty { break }
        try call.replyContinues(LogsCall.Reply(entries: entries))
        entries = more
      }
      if !call.isHungUp { try call.reply(LogsCall.Reply(entries: entries)) }
    }
  }

  /// Sends what comes until the client hangs up or the slice has ended.
  private func follow(_ reader: LogReader, _ name: SliceName) throws {
    var hasEnded = false
    while !call.isHungUp {
      let entries = try reader.next(Self.entriesPerReply)
      if !entries.isEmpty {
        try call.replyContinues(LogsCall.Reply(entries: entries))
        continue
      }
      // A slice that has ended writes no more: one look after its end gets the last of it.
      if hasEnded { break }
      hasEnded = try node.record(name).run == nil
      if !hasEnded { pause() }
    }
    if !call.isHungUp { try call.reply(LogsCall.Reply(entries: [])) }
  }

  /// A message holds about so many entries, or it could outgrow what a client takes.
  private static let entriesPerReply = 500

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
