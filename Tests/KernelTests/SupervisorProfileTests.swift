import Glibc
import SliceModel
import Testing

@testable import SliceKernel

@Suite struct SupervisorProfileTests {
  /// The supervisor's filters must leave a slice every call that its own leave it.
  @Test func slicesLoseNothing() throws {
    let own = try SeccompProfile.networkService().programs
    let supervisor = try SupervisorProfile.programs()
    for number in UInt32(0)..<520 {
      guard own[1].result(number, []) == SeccompProgram.allowing else { continue }
      for program in supervisor {
        #expect(program.result(number, []) == SeccompProgram.allowing, "\(number)")
      }
    }
  }

  @Test(arguments: [
    "init_module", "kexec_load", "reboot", "io_uring_setup", "keyctl", "perf_event_open",
    "open_by_handle_at", "userfaultfd", "settimeofday", "iopl", "swapon", "acct",
  ])
  func whatNobodyNeedsIsAbsent(call: String) throws {
    let number = try #require(SystemCallNumber.of(call))
    // SECCOMP_RET_TRACE: comes behind every other refusal, and is ENOSYS without a tracer.
    #expect(try SupervisorProfile.programs()[1].result(number, []) == 0x7FF0_0000)
  }

  @Test func noTracerHearsOfAbsentCalls() throws {
    let tracing = try SupervisorProfile.programs()[0]
    let refused: UInt32 = 0x0005_0000 | UInt32(EPERM)
    for request in [UInt64(0x4200), 0x4206] {
      #expect(tracing.result(101, [request, 1, 0, 0x80]) == refused)
      #expect(tracing.result(101, [request, 1, 0, 0xFF]) == refused)
      #expect(tracing.result(101, [request, 1, 0, 0x7F]) == SeccompProgram.allowing)
    }
    #expect(tracing.result(101, [0, 0, 0, 0x80]) == SeccompProgram.allowing)
  }
}
