import Descriptor
import Glibc
import Synchronization

@testable import Varlink

/// An interface with one method for each thing that the library has to do.
struct TestInterface: VarlinkInterface {
  let name = "org.example.Test"
  let description = """
    # Exercises the library
    interface org.example.Test
    type Item (name: string, size: int)
    method Echo(text: string, items: ?[]Item) -> (text: string, items: ?[]Item)
    method Strict(text: ?string) -> ()
    method Count(to: int) -> (number: int)
    method Note(text: string) -> ()
    method Notes() -> (texts: []string)
    method WhoAmI() -> (uid: int, gid: int, pid: int)
    method Fill(descriptor: int, text: string) -> ()
    method Pipe(text: string) -> (descriptor: int)
    method Wait() -> (number: int)
    method Large(size: int) -> (text: string)
    method Silent() -> ()
    method Twice() -> ()
    method Fail() -> ()
    error Refused (reason: string)
    error InternalError ()

    """

  final class Notes: Sendable {
    let texts = Mutex<[String]>([])
    /// Calls of Wait that noticed that nobody waits any more.
    let hangUps = Mutex(0)
  }
  let notes = Notes()

  struct Item: Codable, Equatable {
    var name: String
    var size: Int
  }
  struct Echo: Codable, Equatable {
    var text: String
    var items: [Item]?
  }
  struct Text: Codable { var text: String }
  struct Texts: Codable { var texts: [String] }
  struct Bound: Codable { var to: Int }
  struct Number: Codable { var number: Int }
  struct Size: Codable { var size: Int }
  struct Identity: Codable {
    var uid: UInt32
    var gid: UInt32
    var pid: Int32
  }
  struct FillParameters: Codable {
    var descriptor: Int
    var text: String
  }
  struct DescriptorIndex: Codable { var descriptor: Int }
  struct Reason: Codable { var reason: String }
  struct Unforeseen: Error {}
  struct Picky: StrictParameters {
    var text: String?
    enum CodingKeys: String, CodingKey, CaseIterable { case text }
  }

  func call(_ method: String, _ call: VarlinkCall) throws {
    switch method {
    case "Echo": try call.reply(try call.parameters(as: Echo.self))
    case "Strict":
      _ = try call.parameters(as: Picky.self)
      try call.reply()
    case "Count": try count(call)
    case "Note":
      let text = try call.parameters(as: Text.self).text
      notes.texts.withLock { $0.append(text) }
      try call.reply()
    case "Notes": try call.reply(Texts(texts: notes.texts.withLock { $0 }))
    case "WhoAmI":
      try call.reply(Identity(uid: call.peer.uid, gid: call.peer.gid, pid: call.peer.pid))
    case "Fill": try fill(call)
    case "Pipe": try pipe(call)
    case "Wait": try wait(call)
    case "Large":
      let size = try call.parameters(as: Size.self).size
      try call.reply(Text(text: String(repeating: "x", count: size)))
    case "Prepared": try call.reply(text: Array(#"{"text":"as it is"}"#.utf8))
    case "Silent": break
    case "Twice":
      try call.reply()
      try call.reply()
    case "Fail": throw Unforeseen()
    case "Refuse": throw VarlinkError("\(name).Refused", Reason(reason: "on principle"))
    default: throw VarlinkError.methodNotFound(call.method)
    }
  }

  private func count(_ call: VarlinkCall) throws {
    let bound = try call.parameters(as: Bound.self).to
    for number in 1..<bound { try call.replyContinues(Number(number: number)) }
    try call.reply(Number(number: bound))
  }

  private func fill(_ call: VarlinkCall) throws {
    let parameters = try call.parameters(as: FillParameters.self)
    let descriptor = try call.takeDescriptor(parameters.descriptor, parameter: "descriptor")
    try writeText(parameters.text, to: descriptor)
    try call.reply()
  }

  private func pipe(_ call: VarlinkCall) throws {
    let ends = try Pipe()
    try writeText(try call.parameters(as: Text.self).text, to: ends.writing)
    try call.reply(DescriptorIndex(descriptor: 0), descriptors: [ends.reading.rawValue])
  }

  private func wait(_ call: VarlinkCall) throws {
    try call.replyContinues(Number(number: 0))
    var polled = pollfd(
      fd: call.hangUpDescriptor, events: Int16(VarlinkCall.hangUpEvents), revents: 0)
    poll(&polled, 1, 10_000)
    if call.isHungUp { notes.hangUps.withLock { $0 += 1 } }
    try call.reply(Number(number: 1))
  }
}

/// A server on a socket in a directory of its own; ``stop()`` removes both.
final class TestServer: Sendable {
  let path: String
  let interface = TestInterface()
  let events = EventLog()
  private let directory: String
  private let server: VarlinkServer

  final class EventLog: Sendable {
    let all = Mutex<[VarlinkServer.Event]>([])

    var dropped: [ConnectionFailure] {
      all.withLock { events in
        events.compactMap { if case .connectionDropped(_, let why) = $0 { why } else { nil } }
      }
    }

    var failedMethods: [String] {
      all.withLock { events in
        events.compactMap { if case .callFailed(_, let method, _) = $0 { method } else { nil } }
      }
    }
  }

  init(_ adjust: (inout VarlinkServer.Limits) -> Void = { _ in }) throws {
    directory = try makeTemporaryDirectory()
    path = directory + "/socket"
    var limits = VarlinkServer.Limits()
    adjust(&limits)
    let events = events
    server = try VarlinkServer(
      info: ServiceInfo(
        vendor: "Example", product: "Test", version: "1", url: "https://example.org"),
      interfaces: [interface], limits: limits,
      observe: { event in events.all.withLock { $0.append(event) } })
    try server.start(on: try ListeningSocket.bind(path: path, mode: 0o600))
  }

  @discardableResult
  func stop(within time: Duration = .seconds(5)) -> Int {
    defer { rmdir(directory) }
    return server.stop(within: time)
  }

  /// How many connections it has.
  var connections: Int { server.connections }

  func client() throws -> VarlinkClient { try VarlinkClient(path: path, timeout: .seconds(5)) }

  /// A connection on which anything can be sent.
  func rawConnection() throws -> OwnedFD { try connectRaw(to: path) }
}
