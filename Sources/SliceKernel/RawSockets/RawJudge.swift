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

  public init(object path: String) throws(SliceError) {
    var made = craw_judge()
    var error = craw_error()
    let result = craw_load(path, &made, &error)
    func adopt(_ number: Int32, _ label: String) -> SharedFD? {
      number < 0 ? nil : SharedFD(OwnedFD(adopting: number), label: label)
    }
    let program = adopt(made.program, "judge of raw sockets")
    let state = adopt(made.state, "state of raw sockets")
    guard result == 0, let program, let state else { throw Self.failure(result, error) }
    self.program = program
    self.state = state
  }

  private static func failure(_ result: Int32, _ error: craw_error) -> SliceError {
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
    guard number >= 0 else { throw failure(number, error) }
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
