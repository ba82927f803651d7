import CSliceRaw
import Glibc

/// A failed call: its errno, in words.
public struct RawSocketError: Error, Hashable, CustomStringConvertible {
  /// As errno(3) numbers them; what each means for an operation stands with it.
  public let code: Int32
  public let operation: String

  public var description: String { "\(operation): \(String(cString: strerror(code)))" }
}

/// A descriptor that is closed with its owner.
public struct OwnedDescriptor: ~Copyable {
  /// Valid as long as this lives.
  public let rawValue: Int32

  init(adopting number: Int32) { rawValue = number }
  deinit { close(rawValue) }

  /// The descriptor, which is the caller's from here on.
  public consuming func release() -> Int32 {
    let number = rawValue
    discard self
    return number
  }
}

/// A connection to the broker of the slice in which this program runs (sliceraw.h). One task at a time.
public struct RawBroker: ~Copyable {
  private let connection: OwnedDescriptor

  /// ENOENT: the slice was started without `raw.allow`. ECONNREFUSED: its broker has just been lost; the next
  /// one is there in a moment.
  public init() throws(RawSocketError) {
    connection = OwnedDescriptor(adopting: try Self.checked("connect") { sliceraw_connect() })
  }

  /// Opens sockets at once, each as by socket(2), all or none.
  ///
  /// - Parameters:
  ///   - count: 1 to 64; else EINVAL.
  ///   - type: SOCK_RAW, or SOCK_DGRAM of AF_PACKET; with SOCK_NONBLOCK if wished.
  ///   - protocol: of AF_PACKET an ethertype in network byte order (packet(7)).
  /// - Returns: descriptors, close-on-exec, which are the caller's to close.
  ///
  /// EPERM: no grant allows them. ECONNRESET, EPIPE: the broker has been lost; connect anew.
  public func sockets(
    _ count: Int, domain: Int32, type: Int32, protocol: Int32
  ) throws(RawSocketError) -> [Int32] {
    guard (1...64).contains(count) else {
      throw RawSocketError(code: EINVAL, operation: "open \(count) sockets")
    }
    var opened = [Int32](repeating: -1, count: count)
    _ = try Self.checked("open \(count) sockets") {
      sliceraw_sockets(connection.rawValue, domain, type, `protocol`, &opened, UInt32(count))
    }
    return opened
  }

  /// Attaches to a TUN device of the slice's, packets without a header in front.
  ///
  /// - Parameter queue: to one more of its queues, of a device that was granted with `queues`.
  ///
  /// EPERM: not the slice's root, or no such device. EBUSY: it has a user already, and no queues. EINVAL: it
  /// is said to have queues and has not, or the other way round.
  public static func tunnel(
    _ name: String, queue: Bool = false
  ) throws(RawSocketError) -> OwnedDescriptor {
    OwnedDescriptor(adopting: try checked(name) { sliceraw_tun(name, queue) })
  }

  private static func checked(
    _ operation: String, _ call: () -> Int32
  ) throws(RawSocketError) -> Int32 {
    let result = call()
    guard result < 0 else { return result }
    throw RawSocketError(code: errno, operation: operation)
  }
}
