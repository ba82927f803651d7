import Descriptor
import Glibc
import Testing

@testable import Varlink

/// The interpreter of an environment in which PyPI's `varlink` is installed.
private let python = getenv("VARLINK_PYTHON").map { String(cString: $0) }

extension SocketTests {
  @Suite(
    .enabled(
      if: python != nil,
      "VARLINK_PYTHON does not name a Python interpreter that has the varlink package"))
  struct InteroperationTests {
    @Test func independentClient() throws {
      let server = try TestServer()
      defer { server.stop() }
      let script = """
        import sys, varlink
        with varlink.Client("unix:" + sys.argv[1]) as client:
            info = client.get_interfaces()
            assert "org.example.Test" in client.info["interfaces"], client.info
            assert client.info["product"] == "Test", client.info
            with client.open("org.example.Test") as test:
                reply = test.Echo(text="Grüße", items=[{"name": "a", "size": 1}])
                assert reply["text"] == "Grüße" and reply["items"][0]["size"] == 1, reply
                numbers = [r["number"] for r in test.Count(to=4, _more=True)]
                assert numbers == [1, 2, 3, 4], numbers
                try:
                    test.Count(to=4)
                    assert False
                except varlink.VarlinkError as error:
                    assert error.error() == "org.varlink.service.ExpectedMore", error
                try:
                    test.Fail()
                    assert False
                except varlink.VarlinkError as error:
                    assert error.error() == "org.example.Test.InternalError", error
        """
      #expect(try run(try #require(python), ["-c", script, server.path]) == 0)
    }

    private func run(_ program: String, _ arguments: [String]) throws -> Int32 {
      var argv: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
      defer { for argument in argv { free(argument) } }
      var pid: pid_t = 0
      let code = posix_spawn(&pid, program, nil, nil, &argv, environ)
      if code != 0 { throw SystemError(code: code, operation: "posix_spawn", subject: program) }
      var status: Int32 = 0
      try retryingInterrupts("waitpid") { waitpid(pid, &status, 0) }
      return status
    }
  }
}
