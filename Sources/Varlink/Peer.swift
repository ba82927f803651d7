import CSystem
import Descriptor

/// Who is at the other end of a connection, as the kernel recorded it when the connection was
/// made (SO_PEERCRED, unix(7)): it stays what it was when the process changes its identity later
/// or passes the connection on.
public struct Peer: Sendable, Hashable {
  /// Effective user and group, in the user namespace of this process.
  public let uid: UInt32
  public let gid: UInt32
  /// The process, in the PID namespace of this process; 0 when it is not visible here. By the
  /// time it is used the number may belong to another process.
  public let pid: Int32

  public init(uid: UInt32, gid: UInt32, pid: Int32) {
    self.uid = uid
    self.gid = gid
    self.pid = pid
  }

  /// The peer of a connected Unix socket.
  init(ofSocket descriptor: Int32) throws(SystemError) {
    var peer = system_peer()
    try checked("getsockopt(SO_PEERCRED)") { system_peer_credentials(descriptor, &peer) }
    self.init(uid: peer.uid, gid: peer.gid, pid: peer.pid)
  }
}
