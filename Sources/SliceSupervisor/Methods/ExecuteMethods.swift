import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime
import Varlink

extension Request {
  /// What a command whose client hung up gets between SIGHUP and SIGKILL, milliseconds.
  private static let hangUpGrace: Int32 = 5000

  func execute() throws {
    try call.requireMore()
    let parameters = try call.parameters(as: ExecuteCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    try validate(parameters)
    let request = ExecutionRequest(
      command: parameters.command, environment: parameters.environment, user: parameters.user,
      workdir: parameters.workdir,
      terminal: parameters.terminal.map { ($0.rows, $0.columns) },
      streams: parameters.terminal == nil ? try takeStreams() : [])
    let execution = try node.execute(slice, request)
    guard
      let status = try follow(
        execution.process, descriptors: execution.terminal.map { [$0.rawValue] } ?? [])
    else { return }
    try reply(status, of: slice)
  }

  /// Tells the client of a process that was started for it, and stays until that ends; a client that
  /// hangs up ends it: nil.
  func follow(_ process: PidFD, descriptors: [Int32] = []) throws -> ExitStatus? {
    let id = interface.executions.add(process, owner: subject.caller.user)
    defer { interface.executions.remove(id) }
    do {
      try call.replyContinues(
        ExecuteCall.Reply(id: id, pid: Int(process.pid)), descriptors: descriptors)
      awaitEndOrHangUp(process)
    } catch {
      end(process)
      throw error
    }
    let status = try reporting("wait for the command") { () throws(SystemError) in
      try process.wait()
    }
    return call.isHungUp ? nil : status
  }

  func reply(_ status: ExitStatus, of slice: ManagedSlice) throws {
    let reason = wantOfMemory(slice, status)
    switch status {
    case .exited(let code):
      try call.reply(ExecuteCall.Reply(exitCode: Int32(code), reason: reason))
    case .signaled(let number): try call.reply(ExecuteCall.Reply(signal: number, reason: reason))
    }
  }

  /// In words, if a command that ended so just now was killed for want of memory.
  private func wantOfMemory(_ slice: ManagedSlice, _ status: ExitStatus) -> String? {
    guard !status.isSuccess, let found = node.outOfMemory(slice),
      slice.record.isForWantOfMemory(status, at: Clock.now)
    else { return nil }
    return found.description
  }

  private func validate(_ parameters: ExecuteCall.Parameters) throws(SliceError) {
    if let command = parameters.command { try SliceSpec.validate(command: command) }
    try SliceSpec.validate(environment: parameters.environment)
    if let user = parameters.user { try SliceSpec.validate(user: user) }
    if let workdir = parameters.workdir { try SliceSpec.validate(workdir: workdir) }
  }

  /// What came beside the call.
  func takeStreams(
    _ labels: [String] = ["standard input", "standard output", "standard error"]
  ) throws -> [SharedFD] {
    guard call.descriptors.count == labels.count else {
      throw SliceError(
        .usage,
        "this call takes \(labels.count) descriptors (\(labels.joined(separator: ", "))), got \(call.descriptors.count)"
      )
    }
    var streams: [SharedFD] = []
    for (index, label) in labels.enumerated() {
      let stream = try call.takeDescriptor(index, parameter: label)
      try ExecutionRequest.check(stream)
      streams.append(SharedFD(stream, label: label))
    }
    return streams
  }

  private func awaitEndOrHangUp(_ process: PidFD) {
    var entries = [
      pollfd(fd: process.rawValue, events: Int16(POLLIN), revents: 0),
      pollfd(
        fd: call.hangUpDescriptor, events: Int16(truncatingIfNeeded: VarlinkCall.hangUpEvents),
        revents: 0),
    ]
    while poll(&entries, 2, -1) < 0, errno == EINTR {}
    if entries[0].revents == 0 { end(process) }
  }

  /// As a terminal that goes away does it: SIGHUP, and for what does not listen SIGKILL. Either may
  /// come too late for a process that has just ended.
  private func end(_ process: PidFD) {
    try? process.signal(SIGHUP)
    if !process.hasEnded(within: Self.hangUpGrace) { try? process.signal(SIGKILL) }
  }

  func signalExecution() throws {
    let parameters = try call.parameters(as: SignalExecutionCall.Parameters.self)
    guard (1...64).contains(parameters.signal) else {
      throw SliceError(.usage, "\(parameters.signal) is not a signal")
    }
    let process = try interface.executions.process(
      parameters.id, owner: subject.caller.user)
    try reporting("signal the command") { () throws(SystemError) in
      try process.signal(parameters.signal)
    }
    try call.reply(Empty())
  }
}
