import Descriptor
import Glibc
import SliceInterface
import SliceModel
import Synchronization
import Testing
import Varlink

/// A supervisor without slices behind it: answers as the interface says, runs commands on the host.
///
/// Slices named after an error (`no-such-slice`, `refused`…) answer every call with it; the slice
/// `crash` makes the connection break.
final class FakeSupervisor: Sendable {
  let socketPath: String
  private let server: VarlinkServer
  private let directory: TemporaryDirectory
  private let interface = FakeInterface()

  init() throws(SystemError) {
    directory = try TemporaryDirectory()
    socketPath = directory.path + "/socket"
    server = try VarlinkServer(
      info: ServiceInfo(vendor: "", product: "fake", version: "", url: ""),
      interfaces: [interface])
    try server.start(on: ListeningSocket.bind(path: socketPath, mode: 0o600))
  }

  deinit { server.stop(within: .seconds(1)) }

  /// What the last `Create` asked for.
  var created: CreateCall.Parameters? { interface.created.withLock { $0 } }

  /// Bytes of each image whose import came to its end, by name.
  var images: [String: Int] { interface.images.withLock { $0 } }
}

final class FakeInterface: VarlinkInterface {
  let created = Mutex<CreateCall.Parameters?>(nil)
  let images = Mutex<[String: Int]>([:])

  var name: String { SliceInterface.name }
  var description: String { SliceInterface.definition }

  func call(_ method: String, _ call: VarlinkCall) throws {
    if let slice = try? call.parameters(as: NameParameters.self).name { try fail(slice, call) }
    switch method {
    case "Create":
      let parameters = try call.parameters(as: CreateCall.Parameters.self)
      created.withLock { $0 = parameters }
      let state: SliceState = parameters.start ? .running : .created
      try call.reply(SliceReply(slice: summary(parameters.name, state)))
    case "List":
      try call.reply(
        ListCall.Reply(slices: [summary("cache", .stopped), summary("web", .running)]))
    case "Start", "Restart", "Resume", "Set": try reply(call, .running)
    case "Stop": try reply(call, .stopped)
    case "Pause": try reply(call, .paused)
    case "Kill", "Destroy": try call.reply(Empty())
    case "Inspect":
      let document: [String: JSONValue] = ["pid": .integer(7), "limits": .object(["a": .null])]
      try call.reply(InspectCall.Reply(slice: .object(document)))
    case "Wait": try call.reply(WaitCall.Reply(exitCode: 3, signal: nil))
    case "Logs":
      try call.reply(
        LogsCall.Reply(entries: [
          LogEntry(time: "2026-01-01T00:00:00Z", stream: .stdout, text: "out", partial: false),
          LogEntry(time: "2026-01-01T00:00:01Z", stream: .stderr, text: "err", partial: false),
        ]))
    case "Execute": try FakeExecution(call).run()
    case "SignalExecution":
      let parameters = try call.parameters(as: SignalExecutionCall.Parameters.self)
      kill(pid_t(parameters.id)!, parameters.signal)
      try call.reply(Empty())
    case "ImageImport": try importImage(call)
    default: throw VarlinkError.methodNotFound(method)
    }
  }

  private func reply(_ call: VarlinkCall, _ state: SliceState) throws {
    let name = try call.parameters(as: NameParameters.self).name
    try call.reply(SliceReply(slice: summary(name, state)))
  }

  private func summary(_ name: String, _ state: SliceState) -> SliceSummary {
    SliceSummary(
      name: name, owner: "alice", state: state, image: "host", pid: nil, ipv4: "172.31.128.2",
      ipv6: nil, createdAt: "2026-01-01T00:00:00Z", startedAt: nil, restarts: 0, lease: nil,
      publish: [], unenforced: [])
  }

  private func fail(_ slice: String, _ call: VarlinkCall) throws {
    if slice == "crash" { shutdown(call.hangUpDescriptor, Int32(SHUT_RDWR)) }
    let code = SliceError.Code.allCases.first { code in
      slice
        == code.rawValue.map { $0.isUppercase ? "-\($0.lowercased())" : "\($0)" }
        .joined().dropFirst()
    }
    guard let code else { return }
    let error = SliceError(code, "the message", hint: "the hint")
    throw VarlinkError(
      error.varlinkName, ErrorParameters(message: error.message, hint: error.hint))
  }

  /// Takes the archive for complete when it ends while the caller is still there.
  private func importImage(_ call: VarlinkCall) throws {
    let name = try call.parameters(as: ImageImportCall.Parameters.self).name
    let archive = try call.takeDescriptor(0, parameter: "archive")
    var count = 0
    var part = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      var polled = [
        pollfd(fd: archive.rawValue, events: Int16(POLLIN), revents: 0),
        pollfd(fd: call.hangUpDescriptor, events: Int16(VarlinkCall.hangUpEvents), revents: 0),
      ]
      poll(&polled, 2, -1)
      if polled[1].revents != 0 { return }
      let length = read(archive.rawValue, &part, part.count)
      guard length > 0 else { break }
      count += length
      try call.replyContinues(ImageImportCall.Reply(readBytes: UInt64(count), entries: 1))
    }
    images.withLock { $0[name] = count }
    let image = ImageSummary(
      name: name, digest: nil, kind: .stored, sizeBytes: UInt64(count), entries: 1,
      importedAt: nil, owner: nil, command: nil, usedBy: [])
    try call.reply(ImageImportCall.Reply(image: image))
  }
}

/// A command on the host in place of one in a slice.
private struct FakeExecution {
  let call: VarlinkCall
  let parameters: ExecuteCall.Parameters

  init(_ call: VarlinkCall) throws {
    self.call = call
    parameters = try call.parameters()
  }

  func run() throws {
    let pid: pid_t
    let first: (pid_t) -> ExecuteCall.Reply = { ExecuteCall.Reply(id: "\($0)", pid: Int($0)) }
    if let size = parameters.terminal {
      let master = try PseudoTerminal(rows: size.rows, columns: size.columns)
      pid = try spawn(onTerminal: master.path)
      try call.replyContinues(first(pid), descriptors: [master.descriptor.rawValue])
    } else {
      let streams = call.descriptors
      let input = streams.take(0)!
      let output = streams.take(1)!
      let errors = streams.take(2)!
      #expect([input.rawValue, output.rawValue, errors.rawValue].allSatisfy { isatty($0) == 0 })
      pid = try spawn([input.rawValue, output.rawValue, errors.rawValue])
      try call.replyContinues(first(pid))
    }
    var status: Int32 = 0
    while waitpid(pid, &status, WNOHANG) == 0 {
      if call.isHungUp { kill(pid, SIGHUP) }
      usleep(2000)
    }
    let signal = status & 0x7F
    try call.reply(
      signal == 0
        ? ExecuteCall.Reply(exitCode: status >> 8 & 0xFF) : ExecuteCall.Reply(signal: signal))
  }

  private var command: [String] { parameters.command ?? ["sh"] }

  private func spawn(_ streams: [Int32]) throws -> pid_t {
    try ChildProcess.spawn(command, environment: parameters.environment) { actions in
      for (number, stream) in streams.enumerated() {
        posix_spawn_file_actions_adddup2(&actions, stream, Int32(number))
      }
    }
  }

  private func spawn(onTerminal path: String) throws -> pid_t {
    try ChildProcess.spawn(
      command, environment: parameters.environment, ownSession: true, onTerminal: path)
  }
}
