import CNetlink
import CRaw
import Descriptor
import Glibc
import SliceModel

/// What judges the packets of a slice's raw sockets, on the slice's own end of its link
/// (CShims/raw/raw.bpf.c). One for each slice that has any.
public struct RawJudge: Sendable {
  private let program: SharedFD
  /// The map that the slice's brokers share with it (struct slice_raw_state). The filter that the
  /// program hangs on holds both.
  public let state: SharedFD

  /// - Parameter state: of the judge that it is to take the place of; nil: with a map of its own.
  public init(object path: String, state earlier: SharedFD? = nil) throws(SliceError) {
    var made = craw_judge()
    var error = craw_error()
    let result = craw_load(path, earlier?.rawValue ?? -1, &made, &error)
    (program, state) = try adopt(
      result, error, (made.program, "judge of raw sockets"), (made.state, "state of raw sockets"))
  }

  private static let ownLink = "eth0"

  /// Puts it on `eth0` of a slice's namespace. Before a broker has granted anything, nothing passes that
  /// comes from a raw socket.
  public func attach(to namespace: NetworkNamespace) throws(SliceError) {
    try Self.attach(program.rawValue, to: Self.ownLink, in: namespace)
  }

  /// Has the one on `eth0` judge what leaves by another link of the slice too. Where `eth0` has none the
  /// slice has no raw sockets, and there is nothing to judge.
  static func spread(to device: String, in namespace: NetworkNamespace) throws(SliceError) {
    var handle = namespace.handle
    var id: UInt32 = 0
    try network("find the judge of raw sockets") { cnl_raw_find(&handle, ownLink, &id, $0) }
    guard id != 0 else { return }
    var error = craw_error()
    let number = craw_open(id, &error)
    guard number >= 0 else { throw rawFailure(number, error) }
    let program = OwnedFD(adopting: number)
    try attach(program.rawValue, to: device, in: namespace)
  }

  private static func attach(
    _ program: Int32, to device: String, in namespace: NetworkNamespace
  ) throws(SliceError) {
    var handle = namespace.handle
    try network("judge the slice's raw sockets on \(device)") {
      cnl_raw_attach(&handle, device, program, $0)
    }
  }
}

/// What a loader of craw.h has made, a program and its map, or its error.
func adopt(
  _ result: Int32, _ error: craw_error, _ program: (Int32, String), _ map: (Int32, String)
) throws(SliceError) -> (SharedFD, SharedFD) {
  func own(_ made: (number: Int32, label: String)) -> SharedFD? {
    made.number < 0 ? nil : SharedFD(OwnedFD(adopting: made.number), label: made.label)
  }
  if let program = own(program), let map = own(map), result == 0 { return (program, map) }
  throw rawFailure(result, error)
}

private func rawFailure(_ result: Int32, _ error: craw_error) -> SliceError {
  let detail = withUnsafeBytes(of: error.detail) { bytes in
    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
  }
  let reason = SystemError(
    code: result < 0 ? -result : EINVAL,
    operation: error.operation.map { String(cString: $0) } ?? "bpf", subject: detail)
  return SliceError(
    result == -EOPNOTSUPP ? .unenforceable : .failed, "raw.allow: \(reason)",
    hint: result == -ENOENT ? "is the installation complete?" : nil)
}
