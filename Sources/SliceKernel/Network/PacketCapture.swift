import CNetlink
import Descriptor
import Glibc
import SliceModel

/// Packet sockets that only capture.
public enum PacketCapture {
  /// Of its ring, for whoever maps it.
  public static let blockSize = Int(CNL_CAPTURE_BLOCK_SIZE)
  public static let blocks = Int(CNL_CAPTURE_BLOCKS)

  /// A socket in a slice's own network namespace, where it sees this slice's packets and no others: one
  /// of the host's namespace could be bound to another link by whoever holds it (packet(7) asks for no
  /// capability then).
  ///
  /// - Throws: `usage` where the slice has no such link or the kernel refuses the filter.
  public static func open(
    in namespace: NetworkNamespace, link: String, filter: [FilterInstruction]
  ) throws(SliceError) -> SharedFD {
    let flat = filter.map {
      cnl_filter(code: $0.code, jt: $0.ifTrue, jf: $0.ifFalse, k: $0.operand)
    }
    var descriptor: Int32 = -1
    var result: Int32 = 0
    do throws(SliceError) {
      try network("capture on \(link.escapedForTerminal)") {
        result = cnl_capture_open(
          namespace.descriptor.rawValue, link, flat, flat.count, &descriptor, $0)
        return result
      }
    } catch {
      guard [-ENODEV, -EINVAL, -ENAMETOOLONG].contains(result) else { throw error }
      throw SliceError(
        .usage, error.message, hint: "'slicectl exec NAME -- ip link' shows a slice's interfaces")
    }
    return SharedFD(OwnedFD(adopting: descriptor), label: "packet socket")
  }
}
