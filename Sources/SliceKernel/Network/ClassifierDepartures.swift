import CClassifier
import Glibc
import SliceModel

/// What left by an uplink, as the classifier has counted it since it was asked last.
public struct Departure: Sendable {
  /// Index of the host's end of the slice's link.
  public var link: UInt32
  public var detail: Detail
  public var packets, bytes: UInt64
  /// Nanoseconds of the monotonic clock.
  public var first, last: UInt64

  public enum Detail: Sendable {
    case full(FlowAddress, FlowRecord.Ports)
    case address(FlowAddress)
    /// All of a link's that was counted no better, since it was admitted; `first` is 0.
    case rest
  }

  fileprivate init(_ counted: ccl_departure) {
    link = counted.link
    (packets, bytes, first, last) = (counted.packets, counted.bytes, counted.first, counted.last)
    let address = withUnsafeBytes(of: counted.address) { bytes in
      func half(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
      return FlowAddress(high: half(0..<8), low: half(8..<16))
    }
    switch counted.detail {
    case CCL_DETAILED:
      detail = .full(
        address,
        FlowRecord.Ports(
          transport: counted.protocol, port: counted.port, sourcePort: counted.source_port))
    case CCL_BY_ADDRESS: detail = .address(address)
    default: detail = .rest
    }
  }
}

extension Classifier {
  /// Takes away what was counted, and gives it to `body`, one by one. One thread at a time.
  public func takeDepartures(_ body: (Departure) -> Void) throws(SliceError) {
    var list: UnsafeMutablePointer<ccl_departure>?
    var count = 0
    try classifying("the flow audit") {
      ccl_take_departures(handle.pointer, &list, &count, $0)
    }
    defer { free(list) }
    for departure in UnsafeBufferPointer(start: list, count: count) { body(Departure(departure)) }
  }

  /// Forgets what was counted of a link that is gone.
  public func forgetDepartures(_ link: UInt32) throws(SliceError) {
    try classifying("the flow audit of link \(link)") {
      ccl_forget_sender(handle.pointer, link, $0)
    }
  }
}
