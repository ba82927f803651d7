import Descriptor
import Glibc
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceKernel

@Suite struct CapabilityTests {
  @Test func namesBecomeTheKernelsNumbers() throws {
    // capabilities(7), linux/capability.h
    #expect(try CapabilitySet(names: ["CAP_CHOWN"]).mask == 1 << 0)
    #expect(try CapabilitySet(names: ["CAP_SYS_ADMIN", "CAP_KILL"]).mask == 1 << 21 | 1 << 5)
    #expect(try CapabilitySet(names: []) == .none)
  }

  @Test(arguments: ["CAP_NO_SUCH", "", "CAP_CHOWNX", "all"])
  func anUnknownNameIsAnError(name: String) {
    #expect(throws: SliceError.self) { try CapabilitySet(names: ["CAP_CHOWN", name]) }
  }
}

@Suite struct PidFDTests {
  @Test func signalsAndSeesTheEnd() throws {
    let sleeper = try BackgroundCommand(["sleep", "1000"])
    let process = try PidFD(pid: sleeper.pid)
    #expect(process.pid == sleeper.pid)
    #expect(!process.hasEnded())
    try process.signal(SIGTERM)
    #expect(process.hasEnded(within: 10_000))
    #expect(try process.wait() == .signaled(SIGTERM))
    #expect(throws: SystemError.self) { try process.wait() }
  }

  @Test func whatDoesNotLiveCannotBeHeld() throws {
    let command = try BackgroundCommand(["true"])
    let pid = command.pid
    _ = command.wait(seconds: 10)
    let error = #expect(throws: SystemError.self) { try PidFD(pid: pid) }
    #expect(error?.code == ESRCH)
  }

  @Test func whatIsNoChildCannotBeWaitedFor() throws {
    let process = try PidFD(pid: getppid())
    let error = #expect(throws: SystemError.self) { try process.wait() }
    #expect(error?.code == ECHILD)
  }
}

@Suite(.requiresRoot) struct UserNamespaceTests {
  @Test func idsAreMappedAndNothingMoreCanBeMade() throws {
    let namespace = try UserNamespace(range: IDRange(first: 0x5000_0000))
    // Joined by a program that is none of the runtime's.
    func inside(_ script: String) throws -> CommandResult {
      let path = "/proc/\(getpid())/fd/\(namespace.descriptor.rawValue)"
      return try Command.run(["nsenter", "--user=\(path)", "sh", "-c", script])
    }
    let map = try inside("cat /proc/self/uid_map /proc/self/gid_map")
    let rows = map.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(rows == [["0", "1342177280", "65536"], ["0", "1342177280", "65536"]])
    for kind in ["--user", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup"] {
      let result = try inside("unshare \(kind) true")
      #expect(result.status != 0, "unshare \(kind): \(result)")
    }
  }

  @Test func anImpossibleRangeNamesTheCall() {
    let error = #expect(throws: SystemError.self) {
      try UserNamespace(range: IDRange(first: UInt32.max - 10))
    }
    #expect(error.map { "\($0)".contains("4294967285") } == true)
  }
}
