import CSystem
import Descriptor
import Glibc
import Testing

@testable import Varlink

private let test = "org.example.Test"

extension SocketTests {
  @Suite struct DescriptorTests {
    @Test func toTheService() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let pipe = try Pipe()
      try client.call(
        "\(test).Fill", TestInterface.FillParameters(descriptor: 1, text: "through a pipe"),
        descriptors: [pipe.reading.rawValue, pipe.writing.rawValue])
      try pipe.writing.close()
      // The end comes only if the service closed both of its copies.
      #expect(try readText(from: pipe.reading) == "through a pipe")
    }

    @Test func fromTheService() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let (reply, descriptors) = try client.call(
        "\(test).Pipe", TestInterface.Text(text: "back"),
        returning: TestInterface.DescriptorIndex.self)
      guard let reading = descriptors.take(reply.descriptor) else {
        Issue.record("no descriptor came")
        return
      }
      let flags = fcntl(reading.rawValue, F_GETFD)
      #expect(flags == FD_CLOEXEC)
      #expect(try readText(from: reading) == "back")
      let isTakenAgain = descriptors.take(reply.descriptor) != nil
      #expect(!isTakenAgain)
    }

    @Test func belongToTheirMessage() throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      let pipe = try Pipe()
      // All of it lies in the socket before the server reads: the first call must not take the
      // second one's descriptor.
      func message(_ text: String) -> [UInt8] {
        let parameters = #"{"descriptor":0,"text":"\#(text)"}"#
        return Array((#"{"method":"\#(test).Fill","parameters":\#(parameters)}"# + "\0").utf8)
      }
      let first = message("1")
      let second = message("2")
      let passed = [pipe.writing.rawValue]
      #expect(system_send(socket.rawValue, first, first.count, [], 0) == first.count)
      #expect(system_send(socket.rawValue, second, second.count, passed, 1) == second.count)
      let replies = try readText(from: socket, timeout: .milliseconds(300)).split(separator: "\0")
      try #require(replies.count == 2)
      #expect(replies[0].contains("InvalidParameter"))
      #expect(replies[1] == #"{"parameters":{}}"#)
      try pipe.writing.close()
      #expect(try readText(from: pipe.reading) == "2")
    }

    @Test func missingOneIsAnInvalidParameter() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let failure = #expect(throws: VarlinkFailure.self) {
        try client.call("\(test).Fill", TestInterface.FillParameters(descriptor: 0, text: ""))
      }
      #expect(failure?.description.contains("InvalidParameter") == true)
    }

    @Test func tooManyDropTheConnection() throws {
      let server = try TestServer()
      defer { server.stop() }
      // Once it has answered, the server has opened all that it keeps for itself.
      do { _ = try server.client().info() }
      #expect(eventually { server.connections == 0 })
      let before = openDescriptors()
      do {
        let socket = try server.rawConnection()
        let text: [UInt8] = Array("{    ".utf8)
        let eight = [Int32](repeating: socket.rawValue, count: 8)
        #expect(system_send(socket.rawValue, text, 1, eight, 8) == 1)
        #expect(system_send(socket.rawValue, text, 1, eight, 1) == 1)
        // The socket itself was among them: it is closed only when all copies are.
        #expect(try isClosed(socket))
      }
      #expect(eventually { openDescriptors() <= before })
      #expect(server.events.dropped == [.tooManyDescriptors])
    }

    @Test func noneIsLeaked() throws {
      let before = openDescriptors()
      do {
        let server = try TestServer()
        let pipe = try Pipe()
        for _ in 0..<20 {
          let client = try server.client()
          let own = [pipe.reading.rawValue, pipe.writing.rawValue]
          // Not taken, taken, passed to a call that fails, and received without being taken.
          try client.call("\(test).Strict", descriptors: own)
          try client.call(
            "\(test).Fill", TestInterface.FillParameters(descriptor: 1, text: "x"),
            descriptors: own)
          _ = try? client.call("\(test).Fail", descriptors: own)
          _ = try client.call(
            "\(test).Pipe", TestInterface.Text(text: ""),
            returning: TestInterface.DescriptorIndex.self)
        }
        #expect(server.stop() == 0)
      }
      #expect(eventually { openDescriptors() == before })
    }
  }
}
