import SliceInterface
import SliceModel
import SliceRuntime

extension Request {
  /// What `stop` gives a service to end by itself, unless told otherwise.
  private static let defaultGrace: UInt32 = 10_000
  /// And at most.
  private static let longestGrace: UInt32 = 3_600_000

  func create() throws {
    let parameters = try call.parameters(as: CreateCall.Parameters.self)
    let name = try SliceName(parameters.name)
    try reply(
      node.create(
        name, spec: parameters.spec, caller: subject.caller, within: bounds,
        start: parameters.start))
  }

  func start() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let slice = try authorizedSlice(parameters.name)
    try reply(node.start(slice, by: userName))
  }

  func stop() throws {
    let (slice, grace) = try stopParameters()
    try reply(node.stop(slice, graceMilliseconds: grace, by: userName))
  }

  func restart() throws {
    let (slice, grace) = try stopParameters()
    try reply(node.restart(slice, graceMilliseconds: grace, by: userName))
  }

  private func stopParameters() throws -> (ManagedSlice, UInt32) {
    let parameters = try call.parameters(as: StopCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    return (slice, min(parameters.timeoutMilliseconds ?? Self.defaultGrace, Self.longestGrace))
  }

  func kill() throws {
    let parameters = try call.parameters(as: KillCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    guard (1...64).contains(parameters.signal) else {
      throw SliceError(.usage, "\(parameters.signal) is not a signal", hint: "signals are 1 to 64")
    }
    try node.signal(slice, parameters.signal)
    try call.reply(Empty())
  }

  func setPaused(_ paused: Bool) throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let slice = try authorizedSlice(parameters.name)
    try reply(node.setPaused(slice, paused, by: userName))
  }

  func destroy() throws {
    let parameters = try call.parameters(as: DestroyCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    try node.destroy(slice, force: parameters.force, by: userName)
    try call.reply(Empty())
  }

  func set() throws {
    let parameters = try call.parameters(as: SetCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    let (record, reclaim, notes) = try node.set(
      slice, changes: parameters.changes, by: userName, within: bounds)
    let reclaimed = reclaim.map {
      "\(Readable.bytes($0.before - min($0.after, $0.before))) of memory were reclaimed first, and \(Readable.bytes($0.after)) are in use"
    }
    try call.reply(
      SetCall.Reply(
        slice: reports.summary(record), notes: (reclaimed.map { [$0] } ?? []) + notes))
  }

  func stopAll() throws {
    try subject.requireAdministrator()
    try call.reply(StopAllCall.Reply(stopped: node.stopAll(by: userName)))
  }
}
