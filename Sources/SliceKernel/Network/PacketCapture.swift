import CNetlink
import Descriptor
import Glibc
import SliceModel

/// A packet socket that only captures, with its ring.
public struct PacketCapture: Sendable {
  /// Bytes of each block of the ring, for whoever maps it.
  public static let blockSize = Int(CNL_CAPTURE_BLOCK_SIZE)

  public let socket: SharedFD
  /// Of the ring: as many as there was room for.
  public let blocks: Int

  /// Opens a socket in a slice's own network namespace, where it sees this slice's packets and no others:
  /// one of the host's namespace could be bound to another link by whoever holds it (packet(7) asks for no
  /// capability then). One at a time for a slice.
  ///
  /// - Parameter ringBytes: the most that all packet rings of the slice may have together, which the
  ///   kernel charges to nobody.
  /// - Throws: `usage` where the slice has no such link or the kernel refuses the filter; `failed` where
  ///   other rings have taken that memory.
  public init(
    in namespace: NetworkNamespace, link: String, filter: [FilterInstruction], ringBytes: UInt64
  ) throws(SliceError) {
    let flat = filter.map {
      cnl_filter(code: $0.code, jt: $0.ifTrue, jf: $0.ifFalse, k: $0.operand)
    }
    var descriptor: Int32 = -1
    var blocks: UInt32 = 0
    var result: Int32 = 0
    do throws(SliceError) {
      try network("capture on \(link.escapedForTerminal)") {
        result = cnl_capture_open(
          namespace.descriptor.rawValue, link, flat, flat.count, ringBytes, &descriptor, &blocks, $0
        )
        return result
      }
    } catch {
      switch result {
      case -ENODEV, -EINVAL, -ENAMETOOLONG:
        throw SliceError(
          .usage, error.message,
          hint: "'slicectl exec NAME -- ip link' shows a slice's interfaces")
      case -ENOMEM:
        throw SliceError(
          .failed, error.message,
          hint:
            "end another capture, or a program of the slice that has a ring, or raise memory.max")
      default: throw error
      }
    }
    socket = SharedFD(OwnedFD(adopting: descriptor), label: "packet socket")
    self.blocks = Int(blocks)
  }
}
