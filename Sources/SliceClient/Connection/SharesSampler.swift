import Descriptor
import Glibc
import SliceModel
import Synchronization

/// Asks for shares on a thread of its own, so that who waits for the answer of a supervisor that hangs
/// can do something else meanwhile. For use by one thread.
public final class SharesSampler {
  private let supervisor: Supervisor
  private let name: SliceName?
  private let state = Shared()
  private let ready: (reading: Endpoint, writing: Endpoint)
  private var isUnderWay = false

  /// What the asking thread and the waiting one share.
  private final class Shared: Sendable {
    let answer = Mutex<Result<SharesSample, SliceError>?>(nil)
  }

  /// How long an answer may take until it counts as none.
  private static let patience = Duration.seconds(10)

  public init(_ supervisor: Supervisor, name: SliceName?) throws(SystemError) {
    self.supervisor = supervisor
    self.name = name
    ready = try Endpoint.pipe()
  }

  /// Readable (poll(2)) when `take` has an answer.
  public var pollDescriptor: Int32 { ready.reading.number }

  /// Asks, unless an answer is still to come.
  public func ask(tree: Bool) throws(SystemError) {
    guard !isUnderWay else { return }
    isUnderWay = true
    let writing = ready.writing
    try SystemThread.start(name: "shares", stackSize: 1 << 20) { [supervisor, name, state] in
      let answer = Result { () throws(SliceError) in
        try supervisor.shares(name, tree: tree, timeout: Self.patience)
      }
      state.answer.withLock { $0 = answer }
      var byte: UInt8 = 0
      _ = write(writing.number, &byte, 1)
    }
  }

  /// The answer, once.
  public func take() -> Result<SharesSample, SliceError>? {
    var byte: UInt8 = 0
    guard read(ready.reading.number, &byte, 1) == 1 else { return nil }
    isUnderWay = false
    return state.answer.withLock { answer in
      defer { answer = nil }
      return answer
    }
  }
}
