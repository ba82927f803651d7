import CKernel
import CRaw
import Descriptor
import Glibc
import SliceModel

/// A connection to a slice's broker (slice_raw.h). One thread at a time.
public struct RawControl: Sendable {
  /// Readable when something has come.
  public let socket: SharedFD

  /// A call that was refused for want of a grant.
  public struct Refusal: Sendable, Hashable {
    /// Of the thread, in the slice.
    public var pid: Int32
    /// As socket(2) was given them; the protocol of AF_PACKET is the ethertype itself.
    public var domain: Int32
    public var type: Int32
    public var `protocol`: Int32
    /// Refusals before it that were not told.
    public var untold: UInt32

    init(pid: Int32, domain: Int32, type: Int32, protocol: Int32, untold: UInt32) {
      self.pid = pid
      self.domain = domain
      self.type = type
      self.protocol = `protocol`
      self.untold = untold
    }

    /// - Parameter arguments: of socket(2), as the kernel has its registers.
    /// - Returns: nil for a socket that is neither raw nor a packet socket.
    public init?(pid: Int32, arguments: [UInt64]) {
      guard arguments.count >= 3 else { return nil }
      let numbers = arguments.map { Int32(truncatingIfNeeded: $0) }
      let isPacket = numbers[0] == AF_PACKET
      guard isPacket || (numbers[0] == AF_INET || numbers[0] == AF_INET6) && numbers[1] & 0xF == 3
      else { return nil }
      self.init(
        pid: pid, domain: numbers[0], type: numbers[1],
        protocol: isPacket
          ? Int32(UInt16(truncatingIfNeeded: arguments[2]).byteSwapped) : numbers[2], untold: 0)
    }
  }

  /// What became of a change of grants.
  public struct Outcome: Sendable, Hashable {
    /// Sockets that were taken out of use.
    public var closed: Int
    /// Whether there may be others that the grants don't allow, and that nobody found: then the slice's
    /// processes have to be ended. None of them sends by `eth0`.
    public var isUnsettled: Bool

    public init(closed: Int, isUnsettled: Bool) {
      self.closed = closed
      self.isUnsettled = isUnsettled
    }
  }

  /// - Parameter path: of the broker's control socket.
  public init(path: String) throws(SystemError) {
    socket = SharedFD(
      OwnedFD(
        adopting: try checked("connect", path) { kernel_connect_seqpacket(path) }),
      label: "control socket of slice-broker")
  }

  /// Replaces the grants. With `ringBytes` for all packet rings of the slice together.
  ///
  /// - Parameter told: gets the refusals that come before the answer.
  public func grant(
    _ grants: RawGrants, ringBytes: UInt64, timeout: Int32, _ told: (Refusal) -> Void
  ) throws(SystemError) -> Outcome {
    var command = slice_raw_command()
    command.kind = UInt32(SLICE_RAW_GRANT.rawValue)
    command.grants = grants.flat(ringBytes: ringBytes)
    let answer = try run(&command, beside: nil, timeout: timeout, told)
    switch answer.error {
    case 0: return Outcome(closed: Int(answer.closed), isUnsettled: false)
    case EINVAL:
      throw SystemError(code: EINVAL, operation: "slice-broker", subject: "grants")
    default: return Outcome(closed: Int(answer.closed), isUnsettled: true)
    }
  }

  /// Has the broker serve one more filter. EMFILE: it has too many.
  public func listen(
    _ listener: SharedFD, timeout: Int32, _ told: (Refusal) -> Void
  ) throws(SystemError) {
    try give(listener, as: SLICE_RAW_LISTEN, subject: "listener", timeout: timeout, told)
  }

  /// Gives the broker the map that AF_XDP sockets are to be entered in.
  public func deliver(
    to sockets: SharedFD, timeout: Int32, _ told: (Refusal) -> Void
  ) throws(SystemError) {
    try give(sockets, as: SLICE_RAW_DELIVER, subject: sockets.label, timeout: timeout, told)
  }

  private func give(
    _ descriptor: SharedFD, as kind: slice_raw_command_kind, subject: String, timeout: Int32,
    _ told: (Refusal) -> Void
  ) throws(SystemError) {
    var command = slice_raw_command()
    command.kind = UInt32(kind.rawValue)
    let answer = try run(&command, beside: descriptor, timeout: timeout, told)
    guard answer.error == 0 else {
      throw SystemError(code: answer.error, operation: "slice-broker", subject: subject)
    }
  }

  /// Takes the refusals that are there; never waits. ECONNRESET: the broker has gone.
  public func receive(_ told: (Refusal) -> Void) throws(SystemError) {
    let result = collecting(told) { craw_receive(socket.rawValue, receiveEvent, $0) }
    guard result == 0 else {
      throw SystemError(code: -result, operation: "recv", subject: socket.label)
    }
  }

  private func run(
    _ command: inout slice_raw_command, beside descriptor: SharedFD?, timeout: Int32,
    _ told: (Refusal) -> Void
  ) throws(SystemError) -> slice_raw_answer {
    var answer = slice_raw_answer()
    let result = collecting(told) {
      craw_command(
        socket.rawValue, &command, descriptor?.rawValue ?? -1, timeout, &answer, receiveEvent, $0)
    }
    guard result == 0 else {
      throw SystemError(code: -result, operation: "command", subject: socket.label)
    }
    return answer
  }

  private func collecting(
    _ told: (Refusal) -> Void, _ call: (UnsafeMutableRawPointer) -> Int32
  ) -> Int32 {
    var refusals: [Refusal] = []
    let result = withUnsafeMutablePointer(to: &refusals) { call($0) }
    refusals.forEach(told)
    return result
  }
}

/// `context`: a list of refusals.
private func receiveEvent(
  _ context: UnsafeMutableRawPointer?, _ event: UnsafePointer<slice_raw_event>?
) {
  guard let event = event?.pointee else { return }
  context?.assumingMemoryBound(to: [RawControl.Refusal].self).pointee.append(
    RawControl.Refusal(
      pid: event.pid, domain: event.domain, type: event.type, protocol: event.protocol,
      untold: event.untold))
}

extension RawControl.Refusal: CustomStringConvertible {
  /// The call, as a program writes it.
  public var description: String {
    let family =
      switch domain {
      case AF_INET: "AF_INET"
      case AF_INET6: "AF_INET6"
      case AF_PACKET: "AF_PACKET"
      case 44: "AF_XDP"
      default: "\(domain)"
      }
    let kind =
      switch type & 0xF {
      case 2: "SOCK_DGRAM"
      case 3: "SOCK_RAW"
      default: "\(type & 0xF)"
      }
    let number =
      domain == AF_PACKET
      ? "0x" + String(UInt32(bitPattern: `protocol`), radix: 16) : "\(`protocol`)"
    return "socket(\(family), \(kind), \(number))"
  }
}

extension RawGrants {
  /// As the broker takes them. Parsed ones fit.
  fileprivate func flat(ringBytes: UInt64) -> slice_raw_grants {
    var flat = slice_raw_grants()
    if sniffs { flat.flags |= UInt32(SLICE_RAW_SNIFF.rawValue) }
    if hasXDP { flat.flags |= UInt32(SLICE_RAW_XDP.rawValue) }
    for range in udp { craw_add_udp(&flat, range.lowerBound, range.upperBound) }
    for range in tcp { craw_add_tcp(&flat, range.lowerBound, range.upperBound) }
    for ethertype in ethertypes.sorted() { craw_add_ethertype(&flat, ethertype) }
    for number in ipv4 { craw_add_protocol(&flat, 0, number) }
    for number in ipv6 { craw_add_protocol(&flat, 1, number) }
    flat.ring_bytes = ringBytes
    return flat
  }
}
