import Descriptor
import Glibc
import Testing

@testable import Varlink

private let test = "org.example.Test"

/// Everything that uses sockets: one test at a time, so that descriptors can be counted.
@Suite(.serialized, .timeLimit(.minutes(2))) struct SocketTests {}

extension SocketTests {
  @Suite struct CallTests {
    typealias Echo = TestInterface.Echo

    @Test func roundTrip() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let sent = Echo(text: "Grüße \u{0}\u{1F600}/", items: [.init(name: "a", size: 1)])
      for _ in 0..<3 {
        let (reply, descriptors) = try client.call("\(test).Echo", sent, returning: Echo.self)
        #expect(reply == sent)
        #expect(descriptors.count == 0)
      }
    }

    @Test func severalReplies() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      var numbers: [Int] = []
      try client.callMore(
        "\(test).Count", TestInterface.Bound(to: 5), returning: TestInterface.Number.self
      ) { reply, _ in
        numbers.append(reply.number)
        return .next
      }
      #expect(numbers == [1, 2, 3, 4, 5])
      // The connection is at the end of that call and takes another.
      #expect(try client.info().product == "Test")
    }

    @Test func repliesAsText() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let text = try client.callForText("\(test).Prepared")
      #expect(String(decoding: text, as: UTF8.self) == #"{"text":"as it is"}"#)
      let decoded = try client.call("\(test).Prepared", returning: TestInterface.Text.self).reply
      #expect(decoded.text == "as it is")
      let encoded = try client.callForText("\(test).Echo", Echo(text: "}\",{", items: []))
      #expect(String(decoding: encoded, as: UTF8.self).contains(#""text":"}\",{""#))
      #expect(throws: VarlinkFailure.self) { try client.callForText("\(test).Refuse") }
      #expect(String(decoding: try client.callForText("\(test).Prepared"), as: UTF8.self) != "{}")
    }

    @Test func oneSidedCall() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      try client.callOneway("\(test).Note", TestInterface.Text(text: "first"))
      try client.callOneway("\(test).NoSuchMethod")
      try client.callOneway("\(test).Note", TestInterface.Text(text: "second"))
      let notes = try client.call("\(test).Notes", returning: TestInterface.Texts.self).reply
      #expect(notes.texts == ["first", "second"])
    }

    @Test func pipelinedCallsAreAnsweredInOrder() throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      sendRaw(
        (1...3).map { #"{"method":"\#(test).Echo","parameters":{"text":"\#($0)"}}"# + "\0" }
          .joined(), on: socket)
      #expect(
        try readText(from: socket)
          == (1...3).map { #"{"parameters":{"text":"\#($0)"}}"# + "\0" }.joined())
    }

    @Test func peerIsKnown() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let me = try client.call("\(test).WhoAmI", returning: TestInterface.Identity.self).reply
      #expect(me.uid == geteuid())
      #expect(me.gid == getegid())
      #expect(me.pid == getpid())
      #expect(try client.peer().pid == getpid())
    }

    @Test func introspection() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      #expect(try client.info().interfaces == ["org.varlink.service", test])
      #expect(try client.interfaceDescription(of: test) == server.interface.description)
      #expect(
        try client.interfaceDescription(of: "org.varlink.service").contains("error ExpectedMore"))
      #expect(throws: VarlinkFailure.self) { try client.interfaceDescription(of: "org.nowhere") }
    }

    @Test(arguments: [
      ("org.nowhere.Method", "{}", "InterfaceNotFound", #"{"interface":"org.nowhere"}"#),
      ("nonsense", "{}", "InterfaceNotFound", #"{"interface":"nonsense"}"#),
      ("\(test).Nothing", "{}", "MethodNotFound", #"{"method":"\#(test).Nothing"}"#),
      ("\(test).Echo", "{}", "InvalidParameter", #"{"parameter":"text"}"#),
      ("\(test).Echo", #"{"text":7}"#, "InvalidParameter", #"{"parameter":"text"}"#),
      ("\(test).Echo", "[]", "InvalidParameter", #"{"parameter":"parameters"}"#),
      (
        "\(test).Echo", #"{"text":"","items":[{"name":"a","size":1},{"name":"b","size":"c"}]}"#,
        "InvalidParameter", #"{"parameter":"items[1].size"}"#
      ),
      ("\(test).Strict", #"{"text":"","txet":1}"#, "InvalidParameter", #"{"parameter":"txet"}"#),
      ("\(test).Count", #"{"to":3}"#, "ExpectedMore", "{}"),
    ])
    func refusedCall(method: String, parameters: String, error: String, details: String) throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      sendRaw(#"{"method":"\#(method)","parameters":\#(parameters)}"# + "\0", on: socket)
      let reply = try readText(from: socket, timeout: .milliseconds(300))
      #expect(reply.contains(#""error":"org.varlink.service.\#(error)""#))
      #expect(reply.contains(#""parameters":\#(details)"#))
    }

    @Test(arguments: ["{}", "null"]) func missingParametersAreNone(given: String) throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      sendRaw(#"{"method":"\#(test).Strict","parameters":\#(given)}"# + "\0", on: socket)
      sendRaw(#"{"method":"\#(test).Strict"}"# + "\0", on: socket)
      let empty = #"{"parameters":{}}"# + "\0"
      #expect(try readText(from: socket, timeout: .milliseconds(300)) == empty + empty)
    }

    @Test func upgradeIsRefused() throws {
      let server = try TestServer()
      defer { server.stop() }
      let socket = try server.rawConnection()
      sendRaw(#"{"method":"\#(test).Strict","upgrade":true}"# + "\0", on: socket)
      #expect(try readText(from: socket, timeout: .milliseconds(300)).contains("InvalidParameter"))
    }

    @Test func declaredErrorReachesTheCaller() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let failure = #expect(throws: VarlinkFailure.self) { try client.call("\(test).Refuse") }
      guard case .replied(let error) = failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      #expect(error.name == "\(test).Refused")
      #expect(error.parameters(as: TestInterface.Reason.self)?.reason == "on principle")
      // An error reply leaves the connection usable.
      #expect(try client.info().vendor == "Example")
    }

    @Test(arguments: ["Silent", "Fail"]) func brokenMethod(name: String) throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      let failure = #expect(throws: VarlinkFailure.self) { try client.call("\(test).\(name)") }
      guard case .replied(let error) = failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      #expect(error.name == "\(test).InternalError")
      #expect(server.events.failedMethods == ["\(test).\(name)"])
    }

    @Test func secondReplyIsNotSent() throws {
      let server = try TestServer()
      defer { server.stop() }
      let client = try server.client()
      _ = try client.call("\(test).Twice")
      #expect(try client.info().vendor == "Example")
      #expect(server.events.failedMethods == ["\(test).Twice"])
    }

    @Test func silentServiceTimesOut() throws {
      let server = try TestServer()
      defer { server.stop(within: .milliseconds(100)) }
      let client = try server.client()
      let failure = #expect(throws: VarlinkFailure.self) {
        try client.callMore(
          "\(test).Wait", returning: TestInterface.Number.self, timeout: .milliseconds(200)
        ) { _, _ in .next }
      }
      guard case .connection(.timedOut) = failure else {
        Issue.record("\(String(describing: failure))")
        return
      }
      #expect(throws: VarlinkFailure.self) { try client.info() }
    }

    @Test func clientNeedsAServer() throws {
      let error = #expect(throws: SystemError.self) { try VarlinkClient(path: "/nowhere/socket") }
      #expect(
        error?.description == "connect(/nowhere/socket): ENOENT: No such file or directory")
    }
  }
}
