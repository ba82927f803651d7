import CNetlink
import Descriptor
import Glibc
import SliceModel
import Synchronization

/// Queueing on the host's links, through a netlink socket of its own: what takes long here keeps no
/// slice's link waiting.
public final class TrafficControl: Sendable {
  // A pointer that only `withContext` uses, under the lock: one thread at a time (cnetlink.h).
  private struct Context: @unchecked Sendable { let pointer: OpaquePointer }
  private let context: Mutex<Context>

  /// Must be made by a thread in the host's network namespace.
  public init() throws(SliceError) {
    var pointer: OpaquePointer?
    try network("open a netlink socket") { cnl_open(&pointer, $0) }
    context = Mutex(Context(pointer: pointer!))
  }

  deinit { context.withLock { cnl_close($0.pointer) } }

  private func withContext(
    _ object: String, _ call: (OpaquePointer, UnsafeMutablePointer<cnl_error>) -> Int32
  ) throws(SliceError) {
    try context.withLock { (held) throws(SliceError) in
      try network(object) { call(held.pointer, $0) }
    }
  }

  // MARK: - Links to the world

  /// Who has chosen what a link queues packets by.
  public enum Root: Sendable, Hashable {
    /// Nothing is queued: what the link is given is gone, so there is nothing to share.
    case none
    /// The kernel's choice.
    case usual
    case ours
    /// An administrator's, with its name for tc(8), such as `fq 8001:`.
    case foreign(String)
  }

  public func root(of link: String, index: UInt32) throws(SliceError) -> Root {
    var found = cnl_root_qdisc()
    try withContext("uplink \(link)") { cnl_root_find($0, Int32(index), &found, $1) }
    switch found.owner {
    case CNL_ROOT_NONE: return .none
    case CNL_ROOT_DEFAULT: return .usual
    case CNL_ROOT_OURS: return .ours
    default:
      let kind = withUnsafeBytes(of: found.kind) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      return .foreign("\(kind) \(String(found.handle >> 16, radix: 16)):")
    }
  }

  /// Bits a second that the hardware can send; nil where that is not known.
  public func speed(of link: String) -> UInt64? {
    let speed = context.withLock { cnl_link_speed($0.pointer, link) }
    return speed == 0 ? nil : speed
  }

  /// Puts an empty tree on a link, unless one of ours is there. `unenforceable` without HTB.
  public func makeTree(on link: String, index: UInt32) throws(SliceError) {
    try withContext("uplink \(link)") { cnl_tree_create($0, Int32(index), $1) }
  }

  /// Takes it away. One that is not there is fine.
  public func removeTree(from link: String, index: UInt32) throws(SliceError) {
    try withContext("uplink \(link)") { cnl_tree_remove($0, Int32(index), $1) }
  }

  // MARK: - Classes

  /// How many slices a tree has classes for: 16 bits of minor numbers, the first two taken.
  public static let mostClasses = 0xFFFF - 1

  /// The class of a slice, for the classifier. `number` is below `mostClasses`.
  public static func handle(number: Int) -> UInt32 { CNL_SHAPE_HANDLE | UInt32(number + 2) }

  /// Makes the class that holds all others, or changes it.
  public func setAll(
    _ all: TrafficClass, on link: String, index: UInt32
  ) throws(SliceError) {
    var flat = all.flat(minor: 1)
    try withContext("uplink \(link)") { cnl_classes_set($0, Int32(index), &flat, 1, $1) }
  }

  /// A class of a slice as it is to be.
  public struct Change: Sendable {
    public var number: Int
    public var to: TrafficClass
    /// One that is there is made anew, without its debts and without what waits in it.
    public var isFresh: Bool
    public init(number: Int, to: TrafficClass, isFresh: Bool = false) {
      self.number = number
      self.to = to
      self.isFresh = isFresh
    }
  }

  /// Makes classes, or changes those that are there, in order. After a failure those before may have
  /// been set.
  public func set(
    _ changes: [Change], on link: String, index: UInt32
  ) throws(SliceError) {
    let flat = changes.map { $0.to.flat(minor: UInt32($0.number + 2), fresh: $0.isFresh) }
    try withContext("uplink \(link)") {
      cnl_classes_set($0, Int32(index), flat, flat.count, $1)
    }
  }

  // MARK: - Slices' links

  /// Bounds what a slice receives through its link; nil: not any more.
  public func setInbound(
    _ bound: TrafficClass?, on link: String, index: UInt32
  ) throws(SliceError) {
    try withContext("link \(link)") { context, error in
      guard let bound else { return cnl_bucket_set(context, Int32(index), nil, error) }
      var bucket = cnl_bucket(
        rate: bound.rate, burst: UInt32(clamping: bound.burst),
        queue: UInt32(clamping: bound.queue))
      return cnl_bucket_set(context, Int32(index), &bucket, error)
    }
  }

  // MARK: - Trying

  /// Throws `unenforceable` where the kernel has no HTB or TBF.
  public static func requireSupport() throws(SliceError) {
    let place = try NetworkNamespace(ipv6: false)
    var handle = place.handle
    try network("a trial of bandwidth limits") { cnl_shape_try(&handle, $0) }
  }
}

extension TrafficClass {
  fileprivate func flat(minor: UInt32, fresh: Bool = false) -> cnl_class {
    cnl_class(
      minor: minor, rate: rate, ceil: ceiling, burst: burst, cburst: ceilingBurst,
      quantum: UInt32(clamping: quantum), queue: UInt32(clamping: queue),
      packet: UInt32(clamping: splitBeyond ?? 0), fresh: fresh)
  }
}

/// Tells when links or default routes come, go or change. For one thread.
public struct LinkWatch: ~Copyable {
  private let pointer: OpaquePointer

  /// Must be made by a thread in the host's network namespace.
  public init() throws(SliceError) {
    var pointer: OpaquePointer?
    try network("watch the links") { cnl_watch_open(&pointer, $0) }
    self.pointer = pointer!
  }

  deinit { cnl_watch_close(pointer) }

  /// Waits until something has changed, links whose name starts with `prefix` apart, or for a while.
  /// Returns whether something has, which may be anything.
  public func wait(ignoring prefix: String, milliseconds: Int32) throws(SliceError) -> Bool {
    var result: Int32 = 0
    try network("watch the links") {
      result = cnl_watch_wait(pointer, prefix, milliseconds, $0)
      return min(result, 0)
    }
    return result > 0
  }
}
