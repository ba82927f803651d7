import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// What slice-init says of the service: the record of slice_status.h, whose layout this mirrors.
public struct ServiceStatus: Sendable, Hashable {
  public enum State: UInt32, Sendable {
    case starting = 1
    case running, backoff, stopping, exited
  }
  public var state: State
  public var servicePID: Int32
  public var restarts: Int
  public var exit: ExitStatus?
  /// Nanoseconds since 1970, UTC; 0: never.
  public var startedAt: UInt64
  public var exitedAt: UInt64
  public var logDroppedBytes: UInt64

  static let size = 56

  /// Nil for a record that is not complete.
  init?(_ bytes: [UInt8]) {
    guard bytes.count >= Self.size else { return nil }
    func load<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
    guard load(0, as: UInt32.self) == 1, let state = State(rawValue: load(4, as: UInt32.self))
    else {
      return nil
    }
    self.state = state
    servicePID = load(8, as: Int32.self)
    restarts = Int(load(12, as: UInt32.self))
    let code = load(16, as: Int32.self)
    let signal = load(20, as: Int32.self)
    exit = signal > 0 ? .signaled(signal) : code >= 0 ? .exited(UInt8(clamping: code)) : nil
    startedAt = load(24, as: UInt64.self)
    exitedAt = load(32, as: UInt64.self)
    logDroppedBytes = load(40, as: UInt64.self)
  }

  /// Of a slice that runs or ran since boot; nil when slice-init has not written any.
  public static func read(_ layout: SliceLayout) -> ServiceStatus? {
    guard let bytes = try? Files.read(layout.status, limit: 4096) else { return nil }  // none yet
    return ServiceStatus(bytes)
  }
}

/// Commands to a slice's slice-init, by its control socket (slice_status.h).
enum InitCommand {
  case stop(graceMilliseconds: UInt32)
  case signal(Int32)
  case restartPolicy(RestartPolicy)

  private var words: (UInt32, UInt32) {
    switch self {
    case .stop(let grace): (1, grace)
    case .signal(let number): (2, UInt32(bitPattern: number))
    case .restartPolicy(.no): (3, 0)
    case .restartPolicy(.onFailure): (3, 1)
    case .restartPolicy(.always): (3, 2)
    }
  }

  /// Sends it and takes the answer; waits 5 s at most.
  func send(to layout: SliceLayout) throws(SystemError) {
    let socket = OwnedFD(
      adopting: try checked("connect", layout.control) {
        kernel_connect_seqpacket(layout.control)
      })
    let number = socket.rawValue
    var message = words
    try retryingInterrupts("send", layout.control) {
      withUnsafeBytes(of: &message) { Glibc.send(number, $0.baseAddress, 8, Int32(MSG_NOSIGNAL)) }
    }
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    var reply = [UInt8](repeating: 0, count: 128)
    // Status records may come first; the answer is the message of 4 bytes.
    for _ in 0..<64 {
      guard try retryingInterrupts("poll", layout.control, { poll(&entry, 1, 5000) }) > 0 else {
        throw SystemError(code: ETIMEDOUT, operation: "recv", subject: layout.control)
      }
      let count = try retryingInterrupts("recv", layout.control) {
        recv(number, &reply, reply.count, 0)
      }
      if count == 0 {
        throw SystemError(code: ECONNRESET, operation: "recv", subject: layout.control)
      }
      guard count == 4 else { continue }
      let code = reply.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
      guard code == 0 else {
        throw SystemError(code: code, operation: "slice-init", subject: layout.control)
      }
      return
    }
    throw SystemError(code: EPROTO, operation: "recv", subject: layout.control)
  }
}
