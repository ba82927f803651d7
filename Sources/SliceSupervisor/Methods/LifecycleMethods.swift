import SliceInterface
import SliceModel

extension Request {
  /// What `stop` gives a service to end by itself, unless told otherwise.
  private static let defaultGrace: UInt32 = 10_000
  /// And at most.
  private static let longestGrace: UInt32 = 3_600_000

  func create() throws {
    let parameters = try call.parameters(as: CreateCall.Parameters.self)
    let name = try SliceName(parameters.name)
    try reply(
      node.create(name, spec: parameters.spec, caller: subject.caller, start: parameters.start))
  }

  func start() throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let name = try authorizedSlice(parameters.name, to: "start")
    try reply(node.start(name, by: userName))
  }

  func stop() throws {
    let (name, grace) = try stopParameters(verb: "stop")
    try reply(node.stop(name, graceMilliseconds: grace, by: userName))
  }

  func restart() throws {
    let (name, grace) = try stopParameters(verb: "restart")
    try reply(node.restart(name, graceMilliseconds: grace, by: userName))
  }

  private func stopParameters(verb: String) throws -> (SliceName, UInt32) {
    let parameters = try call.parameters(as: StopCall.Parameters.self)
    let name = try authorizedSlice(parameters.name, to: verb)
    return (name, min(parameters.timeoutMilliseconds ?? Self.defaultGrace, Self.longestGrace))
  }

  func kill() throws {
    let parameters = try call.parameters(as: KillCall.Parameters.self)
    let name = try authorizedSlice(parameters.name, to: "kill")
    guard (1...64).contains(parameters.signal) else {
      throw SliceError(.usage, "\(parameters.signal) is not a signal", hint: "signals are 1 to 64")
    }
    try node.signal(name, parameters.signal)
    try call.reply(Empty())
  }

  func setPaused(_ paused: Bool) throws {
    let parameters = try call.parameters(as: NameParameters.self)
    let name = try authorizedSlice(parameters.name, to: paused ? "pause" : "resume")
    try reply(node.setPaused(name, paused, by: userName))
  }

  func destroy() throws {
    let parameters = try call.parameters(as: DestroyCall.Parameters.self)
    let name = try authorizedSlice(parameters.name, to: "destroy")
    try node.destroy(name, force: parameters.force, by: userName)
    try call.reply(Empty())
  }

  func set() throws {
    let parameters = try call.parameters(as: SetCall.Parameters.self)
    let name = try authorizedSlice(parameters.name, to: "set")
    try reply(node.set(name, changes: parameters.changes, by: userName))
  }

  func stopAll() throws {
    try subject.requireAdministrator(to: "stop-all")
    try call.reply(StopAllCall.Reply(stopped: node.stopAll(by: userName)))
  }
}
