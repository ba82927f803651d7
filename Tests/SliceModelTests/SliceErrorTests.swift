import SliceModel
import Testing

@Suite struct SliceErrorTests {
  /// The table of slicectl(1).
  @Test(
    arguments: [
      (SliceError.Code.failed, "Failed", 1), (.usage, "Usage", 2), (.noSuchSlice, "NoSuchSlice", 3),
      (.refused, "Refused", 4), (.unenforceable, "Unenforceable", 5),
      (.noSupervisor, "NoSupervisor", 6), (.timedOut, "TimedOut", 7),
      (.commandNotRun, "CommandNotRun", 125), (.commandNotExecutable, "CommandNotExecutable", 126),
      (.commandNotFound, "CommandNotFound", 127),
    ] as [(SliceError.Code, String, Int32)])
  func exitStatuses(code: SliceError.Code, word: String, status: Int32) {
    #expect(code.exitStatus == status)
    #expect(code.rawValue == word)
  }

  @Test func theTableIsWhole() {
    #expect(SliceError.Code.allCases.count == 10)
    #expect(Set(SliceError.Code.allCases.map(\.exitStatus)).count == 10)
  }

  @Test func printsTheHintBehindTheMessage() {
    let error = SliceError(.refused, "no", hint: "ask root")
    #expect(error.description == "no (ask root)")
    #expect(SliceError(.failed, "no").description == "no")
    #expect(error.within("stop web") == SliceError(.refused, "stop web: no", hint: "ask root"))
  }
}
