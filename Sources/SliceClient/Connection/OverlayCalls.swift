import SliceInterface
import SliceModel

// The methods for overlays, one function each; see the interface definition.
extension Supervisor {
  public func createOverlay(
    _ parameters: OverlayCreateCall.Parameters
  ) throws(SliceError) -> OverlaySummary {
    try call("OverlayCreate", parameters, returning: OverlayReply.self).overlay
  }

  public func deleteOverlay(_ name: OverlayName) throws(SliceError) {
    _ = try call("OverlayDelete", NameParameters(name: name.text), returning: Empty.self)
  }

  /// - Parameter timeout: nil for what a working supervisor needs.
  public func overlays(timeout: Duration? = nil) throws(SliceError) -> [OverlaySummary] {
    try call(
      "OverlayList", returning: OverlayListCall.Reply.self, timeout: timeout ?? Self.promptly
    ).overlays
  }

  public func inspectOverlay(_ name: OverlayName) throws(SliceError) -> OverlaySummary {
    try call(
      "OverlayInspect", NameParameters(name: name.text), returning: OverlayReply.self,
      timeout: Self.promptly
    ).overlay
  }

  /// Returns the slice's address.
  public func join(
    _ name: OverlayName, _ slice: SliceName, address: String?
  ) throws(SliceError) -> String {
    try call(
      "OverlayJoin",
      OverlayJoinCall.Parameters(name: name.text, slice: slice.text, address: address),
      returning: OverlayJoinCall.Reply.self
    ).address
  }

  public func leave(_ name: OverlayName, _ slice: SliceName) throws(SliceError) {
    _ = try call(
      "OverlayLeave", OverlayLeaveCall.Parameters(name: name.text, slice: slice.text),
      returning: Empty.self)
  }

  public func addPeer(
    _ peer: OverlaySummary.Peer, to name: OverlayName
  ) throws(SliceError) -> OverlaySummary {
    try call(
      "OverlayAddPeer", OverlayAddPeerCall.Parameters(name: name.text, peer: peer),
      returning: OverlayReply.self
    ).overlay
  }

  public func removePeer(
    _ host: String, from name: OverlayName
  ) throws(SliceError) -> OverlaySummary {
    try call(
      "OverlayRemovePeer", OverlayRemovePeerCall.Parameters(name: name.text, host: host),
      returning: OverlayReply.self
    ).overlay
  }
}
