import SliceModel
import SliceRuntime
import Varlink

/// Who may do what: owners see and touch their own slices; administrators all.
struct Authorization: Sendable {
  let adminGroup: String?

  /// A caller as the kernel named it (SO_PEERCRED).
  struct Subject: Sendable {
    let caller: Caller
    /// The group that the caller's program runs with.
    let group: UInt32
    let isAdministrator: Bool
  }

  func subject(_ peer: Peer) -> Subject {
    let name = Accounts.userName(peer.uid)
    let isAdministrator =
      peer.uid == 0
      || adminGroup.map { Accounts.isMember(name, primaryGroup: peer.gid, of: $0) } ?? false
    return Subject(
      caller: Caller(user: peer.uid, name: name), group: peer.gid,
      isAdministrator: isAdministrator)
  }
}

extension Authorization.Subject {
  func maySee(_ record: SliceRecord) -> Bool { mayTouch(whatBelongsTo: record.owner) }

  /// Refuses the slice of somebody else.
  func require(_ record: SliceRecord) throws(SliceError) {
    guard maySee(record) else {
      throw SliceError(
        .refused, "slice '\(record.name)' belongs to another user",
        hint: "its owner, root and the node's administrators may")
    }
  }

  func maySee(_ record: OverlayRecord) -> Bool { mayTouch(whatBelongsTo: record.owner) }

  private func mayTouch(whatBelongsTo owner: UInt32) -> Bool {
    #if DEBUG
      if Mutation.current == .nobodysSlices { return true }
    #endif
    return isAdministrator || owner == caller.user
  }

  /// Refuses the overlay of somebody else.
  func require(_ record: OverlayRecord) throws(SliceError) {
    guard maySee(record) else {
      throw SliceError(
        .refused, "overlay '\(record.name)' belongs to another user",
        hint: "its owner, root and the node's administrators may")
    }
  }

  func requireAdministrator() throws(SliceError) {
    #if DEBUG
      if Mutation.current == .everybodyAdministers { return }
    #endif
    guard isAdministrator else {
      throw SliceError(.refused, "only administrators may do that", hint: "try it as root")
    }
  }
}
