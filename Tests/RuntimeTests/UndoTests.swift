import SliceModel
import Synchronization
import Testing

@testable import SliceRuntime

@Suite struct UndoTests {
  private struct Broken: Error, CustomStringConvertible { var description: String { "stuck" } }

  @Test func takesBackInReverseAndGoesOnAfterAFailure() {
    let done = Mutex<[String]>([])
    var undo = Undo()
    for name in ["a", "b", "c"] {
      undo.add(name) {
        if name == "b" { throw Broken() }
        done.withLock { $0.append(name) }
      }
    }
    #expect(undo.roll() == ["b: stuck"])
    #expect(done.withLock { $0 } == ["c", "a"])
  }

  @Test func keepsWhatWasCommitted() {
    let done = Mutex(0)
    var undo = Undo()
    undo.add("x") { done.withLock { $0 += 1 } }
    undo.commit()
    #expect(done.withLock { $0 } == 0)
  }

  @Test func anErrorNamesWhatIsLeft() {
    let error = SliceError(.failed, "mount: EPERM", hint: "be root")
    #expect(error.leaving([]) == error)
    let left = error.leaving(["link sl-1: EBUSY", "cgroup: EBUSY"])
    #expect(left.message == "mount: EPERM; left behind: link sl-1: EBUSY; cgroup: EBUSY")
    #expect(left.code == .failed && left.hint == "be root")
  }
}
