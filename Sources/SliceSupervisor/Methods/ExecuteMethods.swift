import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

extension Request {
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
    try follow(
      execution.process, of: slice,
      descriptors: execution.terminal.map { [$0.rawValue] } ?? [])
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

  func signalExecution() throws {
    let parameters = try call.parameters(as: SignalExecutionCall.Parameters.self)
    guard (1...64).contains(parameters.signal) else {
      throw SliceError(.usage, "\(parameters.signal) is not a signal")
    }
    let execution = try interface.executions.execution(
      parameters.id, owner: subject.caller.user)
    try reporting("signal the command") { () throws(SystemError) in
      try execution.process.signal(parameters.signal)
    }
    if [SIGINT, SIGTERM, SIGHUP].contains(parameters.signal) { execution.ending?.close() }
    try call.reply(Empty())
  }
}
