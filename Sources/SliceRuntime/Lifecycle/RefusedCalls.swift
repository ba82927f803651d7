import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// System calls that a slice was refused: the record of slice_refusals.h, whose layout this mirrors.
/// slice-init writes it, so everything in it is the slice's word.
public struct RefusedCalls: Sendable, Hashable {
  /// One call by one program, however often.
  public struct Call: Sendable, Hashable {
    public var name: String
    /// `EPERM` and the like.
    public var error: String
    /// As the kernel names it; `?` where it had ended.
    public var program: String
    /// In the slice's PID namespace.
    public var pid: Int32
    public var times: UInt64
    /// Nanoseconds since 1970, UTC.
    public var lastAt: UInt64
    /// The first three, of the last time.
    public var arguments: [UInt64]
  }

  /// Of calls that are not kept any more too.
  public var total: UInt64
  /// The latest first.
  public var calls: [Call]

  private static let answersSize = 512  // SLICE_REFUSALS_CALLS
  private static let headerSize = answersSize + 16
  private static let callSize = 72
  private static let mostCalls = 64  // SLICE_REFUSALS_KEPT
  static let size = headerSize + mostCalls * callSize

  /// Nil for what is no such record.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.size else { return nil }
    func load<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
    guard load(Self.answersSize, as: UInt32.self) == 1 else { return nil }
    total = load(Self.answersSize + 8, as: UInt64.self)
    calls = (0..<Self.mostCalls).compactMap { index in
      let at = Self.headerSize + index * Self.callSize
      let times = load(at, as: UInt64.self)
      guard times != 0 else { return nil }
      let name = bytes[(at + 56)..<(at + Self.callSize)].prefix { $0 != 0 }
      return Call(
        name: SystemCallName.text(
          load(at + 44, as: Int32.self), architecture: load(at + 40, as: UInt32.self)),
        error: SystemError(code: load(at + 48, as: Int32.self), operation: "").name,
        program: String(decoding: name, as: UTF8.self), pid: load(at + 52, as: Int32.self),
        times: times, lastAt: load(at + 8, as: UInt64.self),
        arguments: (0..<3).map { load(at + 16 + 8 * $0, as: UInt64.self) })
    }.sorted { $0.lastAt > $1.lastAt }
  }

  /// Of the run that goes on or was the last since boot; nil where nothing is noted.
  static func read(_ layout: SliceLayout) -> RefusedCalls? {
    guard let bytes = try? Files.read(layout.refusals, limit: size) else { return nil }
    return RefusedCalls(bytes)
  }

  /// The file that slice-init notes calls in; nil without answers.
  static func makeFile(_ path: String, answers: [UInt8]?) throws(SystemError) -> SharedFD? {
    guard let answers else { return nil }
    let file = try Files.open(path, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
    try Files.writeAll(answers, to: file.rawValue, path: path)
    return SharedFD(file, label: "refusals file")
  }
}
