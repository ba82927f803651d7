import CSystem
import Descriptor
import Glibc
import Testing

@testable import Varlink

private let test = "org.example.Test"

extension SocketTests {
  /// Callers that mean harm, or are broken: they are dropped, and others are served meanwhile.
  @Suite struct LimitTests {
    @Test func halfMessage() throws {
      let server = try TestServer { $0.receiveTime = .milliseconds(200) }
      defer { server.stop() }
      let other = try server.client()
      let socket = try server.rawConnection()
      sendRaw(#"{"method":"#, on: socket)
      #expect(try other.info().vendor == "Example")
      #expect(try isClosed(socket))
      #expect(server.events.dropped == [.timedOut])
    }

    @Test func trickle() throws {
      let server = try TestServer { $0.receiveTime = .milliseconds(300) }
      defer { server.stop() }
      let socket = try server.rawConnection()
      #expect(eventually { !sendRaw(" ", on: socket) })
    }

    @Test func giantMessage() throws {
      let server = try TestServer { $0.messageSize = 100_000 }
      defer { server.stop() }
      let fitting = try server.client()
      let text = String(repeating: "x", count: 99_900)
      #expect(
        try fitting.call(
          "\(test).Echo", TestInterface.Echo(text: text), returning: TestInterface.Echo.self
        ).reply.text == text)
      let socket = try server.rawConnection()
      sendRaw([UInt8](repeating: UInt8(ascii: "{"), count: 100_001), on: socket)
      #expect(try isClosed(socket))
      #expect(server.events.dropped == [.messageTooLarge(limit: 100_000)])
    }

    @Test func largeMessagesPassWhole() throws {
      let server = try TestServer()
      defer { server.stop() }
      let reply = try server.client().call(
        "\(test).Large", TestInterface.Size(size: 5_000_000), returning: TestInterface.Text.self)
      #expect(reply.reply.text.utf8.count == 5_000_000)
    }

    @Test func endlessStream() throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      let part = [UInt8](repeating: UInt8(ascii: " "), count: 65536)
      #expect(eventually { !sendRaw(part, on: socket) })
    }

    @Test func deepNesting() throws {
      let server = try TestServer()
      defer { server.stop() }
      func message(depth: Int) -> String {
        // The call and its parameters are two levels.
        let inner = ["[", "]"].map { String(repeating: $0, count: depth - 2) }.joined()
        return #"{"method":"\#(test).Strict","parameters":{"text":null,"deep":\#(inner)}}"# + "\0"
      }
      let allowed = try server.rawConnection()
      sendRaw(message(depth: 32), on: allowed)
      #expect(try readText(from: allowed, timeout: .milliseconds(500)).contains(#""deep""#))
      for depth in [33, 100_000] {
        let socket = try server.rawConnection()
        sendRaw(message(depth: depth), on: socket)
        #expect(try isClosed(socket))
      }
    }

    @Test func clientThatNeverReads() throws {
      let server = try TestServer { $0.sendTime = .milliseconds(300) }
      defer { server.stop() }
      let socket = try server.rawConnection()
      sendRaw(#"{"method":"\#(test).Large","parameters":{"size":10000000}}"# + "\0", on: socket)
      let other = try server.client()
      #expect(try other.info().vendor == "Example")
      #expect(eventually { server.events.dropped == [.timedOut] })
    }

    @Test func garbage() throws {
      let server = try TestServer()
      defer { server.stop() }
      var random = SystemRandomNumberGenerator()
      var inputs: [[UInt8]] = [
        [0], [0, 0, 0], Array("null\0".utf8), Array("[]\0".utf8), Array("{}\0".utf8),
        Array("{\"method\":1}\0".utf8), Array("{\"method\":\"a.b\"\0".utf8), Array("{\"\\\0".utf8),
        [0x7B, 0x22, 0xFF, 0xFE, 0x22, 0x7D, 0], [0xFE, 0xFF, 0x7B, 0x7D, 0],
        Array("{\"method\":\"\\ud800\"}\0".utf8), Array("}}}}{{\0".utf8),
        Array("{\"method\":\"x\",\"more\":7}\0".utf8),
      ]
      for _ in 0..<30 {
        inputs.append((0..<500).map { _ in UInt8.random(in: 0...255, using: &random) } + [0])
      }
      for input in inputs {
        let socket = try server.rawConnection()
        sendRaw(input, on: socket)
        #expect(try isClosed(socket), "\(input)")
      }
      #expect(try server.client().info().vendor == "Example")
    }

    @Test func floodOfConnections() throws {
      let server = try TestServer()
      defer { server.stop() }
      let before = openDescriptors()
      let early = try server.client()
      #expect(try early.info().vendor == "Example")
      do {
        // Some send nothing, some half a message.
        var held: [Int32] = []
        defer { for socket in held { close(socket) } }
        for number in 0..<2000 {
          let socket = try server.rawConnection()
          if number.isMultiple(of: 2) { sendRaw("{", on: socket) }
          if number < 200 { held.append(socket.release()) }
          if number.isMultiple(of: 100) { #expect(try early.info().vendor == "Example") }
        }
        #expect(openDescriptors() - before < 200 + 64 + 10)
      }
      #expect(eventually { (try? server.client().info(timeout: .seconds(1)))?.vendor == "Example" })
      let reports = server.events.all.withLock {
        $0.filter { if case .connectionsRefused = $0 { true } else { false } }.count
      }
      #expect((1...20).contains(reports))
    }

    @Test func idleConnectionGivesWay() throws {
      let server = try TestServer {
        $0.connectionsOfRoot = 2
        $0.connectionsOfUser = 2
        $0.connections = 4
        $0.idleTime = .milliseconds(300)
      }
      defer { server.stop() }
      let first = try server.client()
      let second = try server.client()
      _ = try first.info()
      _ = try second.info()
      let tooEarly = try server.client()
      #expect(throws: VarlinkFailure.self) { try tooEarly.info() }
      usleep(400_000)
      _ = try second.info()
      let third = try server.client()
      #expect(try third.info().vendor == "Example")
      #expect(throws: VarlinkFailure.self) { try first.info() }
      #expect(try second.info().vendor == "Example")
    }

    @Test func rootHasItsOwnPlaces() throws {
      var limits = VarlinkServer.Limits()
      limits.connections = 10
      limits.connectionsOfRoot = 3
      limits.connectionsOfUser = 4
      let registry = try ConnectionRegistry(limits: limits)
      // Nothing is evicted here, so that no descriptor is touched.
      func admitted(_ uid: UInt32, of count: Int) -> Int {
        (0..<count).filter { _ in registry.admit(uid: uid, descriptor: -1) != nil }.count
      }
      #expect(admitted(1000, of: 6) == 4)
      #expect(admitted(1001, of: 6) == 3)
      #expect(admitted(1002, of: 6) == 0)
      #expect(admitted(0, of: 6) == 3)
    }
  }

  @Suite struct StopTests {
    @Test func hangUpIsNoticed() throws {
      let server = try TestServer()
      defer { server.stop() }
      try server.client().callMore("\(test).Wait", returning: TestInterface.Number.self) { _, _ in
        .stop
      }
      #expect(eventually { server.interface.notes.hangUps.withLock { $0 } == 1 })
    }

    @Test func stoppingLetsCallsFinish() throws {
      let before = openDescriptors()
      do {
        let server = try TestServer()
        let idle = try server.client()
        _ = try idle.info()
        let client = try server.client()
        var numbers: [Int] = []
        try client.callMore("\(test).Wait", returning: TestInterface.Number.self) { reply, _ in
          numbers.append(reply.number)
          if reply.number == 0 { #expect(server.stop() == 0) }
          return .next
        }
        #expect(numbers == [0, 1])
        #expect(throws: VarlinkFailure.self) { try idle.info() }
        #expect(throws: SystemError.self) { try server.client() }
        #expect(access(server.path, F_OK) == -1)
      }
      #expect(eventually { openDescriptors() == before })
    }
  }

  @Suite struct ListeningSocketTests {
    @Test func staleSocketIsReplaced() throws {
      let directory = try makeTemporaryDirectory()
      let path = directory + "/socket"
      defer { rmdir(directory) }
      do {
        let abandoned = try openUnixSocket()
        let number = abandoned.rawValue
        try checked("bind") { system_unix_bind(number, path) }
      }
      let listener = try ListeningSocket.bind(path: path, mode: 0o620)
      var status = stat()
      #expect(stat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == 0o620)
      _ = consume listener
      #expect(access(path, F_OK) == -1)
    }

    @Test func livingServerIsLeftAlone() throws {
      let server = try TestServer()
      defer { server.stop() }
      let error = #expect(throws: SystemError.self) {
        _ = try ListeningSocket.bind(path: server.path, mode: 0o600)
      }
      #expect(error?.name == "EADDRINUSE")
      #expect(try server.client().info().vendor == "Example")
    }

    @Test func otherFilesAreLeftAlone() throws {
      let directory = try makeTemporaryDirectory()
      let path = directory + "/file"
      defer {
        unlink(path)
        rmdir(directory)
      }
      close(creat(path, 0o600))
      #expect(throws: SystemError.self) { _ = try ListeningSocket.bind(path: path, mode: 0o600) }
      #expect(access(path, F_OK) == 0)
    }

    @Test func passedSocketIsUsed() throws {
      let directory = try makeTemporaryDirectory()
      let path = directory + "/socket"
      defer {
        unlink(path)
        rmdir(directory)
      }
      let socket = try openUnixSocket()
      let number = socket.rawValue
      try checked("bind") { system_unix_bind(number, path) }
      #expect(throws: SystemError.self) { _ = try ListeningSocket.adopt(try socket.duplicate()) }
      try checked("listen") { listen(number, 5) }
      let server = try VarlinkServer(
        info: ServiceInfo(vendor: "v", product: "p", version: "1", url: ""),
        interfaces: [TestInterface()])
      try server.start(on: try ListeningSocket.adopt(socket))
      #expect(try VarlinkClient(path: path).info().vendor == "v")
      server.stop(within: .seconds(1))
      #expect(access(path, F_OK) == 0)
    }
  }
}
