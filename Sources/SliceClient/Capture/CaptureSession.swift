import Descriptor
import Glibc
import SliceInterface
import SliceModel

/// A capture of a slice's packets, from its beginning to its counts.
public struct CaptureSession: Sendable {
  public struct Limits: Sendable {
    /// Packets; nil: any number.
    public var packets: UInt64?
    /// Nil: until a signal comes.
    public var milliseconds: UInt64?
    public init(packets: UInt64?, milliseconds: UInt64?) {
      self.packets = packets
      self.milliseconds = milliseconds
    }
  }

  public struct Result: Sendable {
    /// Those that came here.
    public var packets: UInt64 = 0
    /// What the kernel counted; nil where the capture was cut off.
    public var counts: PcapngReader.Counts?
  }

  private let supervisor: Supervisor

  public init(supervisor: Supervisor) { self.supervisor = supervisor }

  /// - Parameters:
  ///   - began: called when packets are captured.
  ///   - body: gets every block, packet or not, to show or write; throws to end it.
  public func run(
    _ parameters: CaptureCall.Parameters, _ limits: Limits, began: () -> Void,
    _ body: (PcapngReader.Block, ArraySlice<UInt8>) throws(SliceError) -> Void
  ) throws(SliceError) -> Result {
    let pipes = try reporting { () throws(SystemError) in try Pipes() }
    let signals = try reporting { () throws(SystemError) in
      try SignalQueue([SIGINT, SIGTERM, SIGHUP])
    }
    var result = Result()
    var status: Int32?
    var reason: String?
    try supervisor.stream(
      "Capture", parameters, returning: ExecuteCall.Reply.self, descriptors: pipes.passed
    ) { reply, _, _ in
      if let ended = reply.exitCode ?? reply.signal.map({ 128 + $0 }) {
        (status, reason) = (ended, reply.reason)
        return .stop
      }
      // The other side alone has these now, so that its end is seen.
      pipes.closePassed()
      began()
      result = try read(pipes, signals, limits, body)
      return .next
    }
    guard status == 0 else {
      throw SliceError(
        .failed,
        "the capture has ended with status \(status ?? -1)\(reason.map { ": \($0)" } ?? "")",
        hint: "a slice that is stopped or paused ends it")
    }
    return result
  }

  private func reporting<Value: ~Copyable>(
    _ body: () throws(SystemError) -> Value
  ) throws(SliceError) -> Value {
    do {
      return try body()
    } catch {
      throw SliceError(.failed, "prepare the capture: \(error)")
    }
  }

  /// Reads to the end; what is beyond the limits is passed over, because the counts come last.
  private func read(
    _ pipes: Pipes, _ signals: borrowing SignalQueue, _ limits: Limits,
    _ body: (PcapngReader.Block, ArraySlice<UInt8>) throws(SliceError) -> Void
  ) throws(SliceError) -> Result {
    let clock = ContinuousClock()
    let end = limits.milliseconds.map { clock.now + .milliseconds(Int64(clamping: $0)) }
    var reader = PcapngReader()
    var result = Result()
    var buffer = [UInt8](repeating: 0, count: 1 << 17)
    while true {
      var entries = [pipes.output.number, signals.pollDescriptor].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      let left = pipes.isStopping ? nil : end.map { $0 - clock.now }
      // A millisecond more than is left, or the last one is spent turning round.
      let wait = left.map { Int32(clamping: max(0, Int64($0 / .milliseconds(1))) + 1) } ?? -1
      poll(&entries, 2, wait)
      while signals.next() != nil {
        // Who asks twice doesn't want to wait for the counts.
        if pipes.isStopping { return result }
        pipes.stop()
      }
      if let end, clock.now >= end { pipes.stop() }
      guard entries[0].revents != 0 else { continue }
      let count = Glibc.read(pipes.output.number, &buffer, buffer.count)
      guard count > 0 else {
        if count < 0, errno == EINTR { continue }
        return result
      }
      reader.append(buffer[..<count])
      for (block, bytes) in try reader.takeBlocks() {
        switch block {
        case .packet:
          if let most = limits.packets, result.packets >= most {
            pipes.stop()
            continue
          }
          result.packets += 1
        case .counts(let counts): result.counts = counts
        case .other: break
        }
        try body(block, bytes)
      }
      if let most = limits.packets, result.packets >= most { pipes.stop() }
    }
  }

  /// pcapng comes by one; an end of the other is closed to end the capture.
  private final class Pipes {
    let output: Endpoint
    private var outputWriting: Endpoint?
    private var stopReading: Endpoint?
    private var stopWriting: Endpoint?

    init() throws(SystemError) {
      let data = try Endpoint.pipe()
      let control = try Endpoint.pipe()
      output = data.reading
      outputWriting = data.writing
      stopReading = control.reading
      stopWriting = control.writing
    }

    var passed: [Int32] { [outputWriting, stopReading].compactMap { $0?.number } }
    var isStopping: Bool { stopWriting == nil }
    func stop() { stopWriting = nil }

    func closePassed() {
      outputWriting = nil
      stopReading = nil
    }
  }
}
