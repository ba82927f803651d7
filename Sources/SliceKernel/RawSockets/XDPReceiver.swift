import CNetlink
import CRaw
import Descriptor
import Glibc
import SliceModel

/// What hands packets to the AF_XDP socket of a slice, on the slice's own end of its link
/// (CShims/raw/xdp.bpf.c).
extension NetworkNamespace {
  /// Puts it on `eth0`, in place of one that is there. Returns the map that the slice's broker enters the
  /// socket in.
  ///
  /// - Parameter state: of the slice's `RawJudge`.
  public func receiveForXDP(object path: String, state: SharedFD) throws(SliceError) -> SharedFD {
    var made = craw_receiver()
    var error = craw_error()
    let result = craw_load_receiver(path, state.rawValue, &made, &error)
    let (program, sockets) = try adopt(
      result, error, (made.program, "receiver of AF_XDP"), (made.sockets, "map of AF_XDP sockets"))
    try attach(program.rawValue)
    return sockets
  }

  /// The map of the one that is there; nil: there is none.
  public func xdpSockets() throws(SliceError) -> SharedFD? {
    var handle = handle
    var program: UInt32 = 0
    try network("find the slice's XDP program") { cnl_xdp_find(&handle, &program, $0) }
    guard program != 0 else { return nil }
    let sockets = craw_find_sockets(program)
    guard sockets >= 0 else { return nil }
    return SharedFD(OwnedFD(adopting: sockets), label: "map of AF_XDP sockets")
  }

  /// Has nothing handed to AF_XDP sockets any more. Idempotent.
  public func endReceivingForXDP() throws(SliceError) { try attach(-1) }

  private func attach(_ program: Int32) throws(SliceError) {
    var handle = handle
    try network("hand packets to AF_XDP sockets") { cnl_xdp_attach(&handle, program, $0) }
  }
}
