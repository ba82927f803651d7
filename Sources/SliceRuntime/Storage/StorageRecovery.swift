import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The storage of slices that an earlier supervisor made.
extension Node {
  /// Has the kernel hold what the records say, since a `set` may have been cut short, and removes what
  /// belongs to no slice.
  func recoverStorage() throws(SliceError) {
    let records = self.records()
    for record in records {
      try storage.apply(
        record.spec.settings, insteadOf: nil, project: environment.project(record.number))
    }
    let last = UInt64(policy.firstUserID) + UInt64(policy.userIDRanges) * UInt64(IDRange.length) - 1
    for what in storage.sweep(
      keeping: Set(records.map(\.name)),
      projects: Set(records.map { environment.project($0.number) }),
      of: policy.firstUserID...UInt32(clamping: last))
    {
      notify(NodeEvent(slice: nil, owner: nil, kind: "orphan", by: nil, details: ["what": what]))
    }
  }
}

extension SliceEnvironment {
  /// Refuses bounds that are below what the slice uses.
  func requireRoom(for settings: Settings, of record: SliceRecord) throws(SliceError) {
    try storage.requireRoom(
      for: settings, insteadOf: record.spec.settings, project: project(record.number))
  }
}

extension SliceStorage {
  /// Earlier versions kept a slice's layer beside its record. On another file system it stays there.
  private func moveFromEarlierPlace(_ record: SliceRecord, _ place: SliceLayout) throws(SliceError)
  {
    let upper = place.state + "/upper"
    guard Files.exists(upper), !Files.exists(place.upper) else { return }
    do throws(SystemError) {
      try Files.makeDirectory(place.storage, mode: 0o700, existingIsFine: true)
      for (from, to) in [(place.state + "/work", place.work), (upper, place.upper)] {
        try checked("rename", "\(from) to \(to)") { rename(from, to) }
      }
    } catch {
      guard error.code == EXDEV else {
        throw SliceError(error).within("move the storage of \(record.name)")
      }
    }
  }

  /// Refuses to start a slice whose layer is not where it belongs, or whose bounds would not hold,
  /// unless it is known for that.
  func requireBounds(
    _ record: SliceRecord, _ place: SliceLayout, project: UInt32
  ) throws(SliceError) {
    try moveFromEarlierPlace(record, place)
    guard Files.exists(place.upper) else {
      throw SliceError(
        .failed, "its writable layer is not in \(place.storage)",
        hint: "of an earlier version? copy its files out of \(place.state)/upper, then destroy it")
    }
    let asked = record.spec.settings.keys.filter {
      $0.enforcer == .quota && !record.unenforced.contains($0.rawValue)
    }
    guard let key = asked.first, !counts(place, project: project) else { return }
    throw SliceError(
      .unenforceable,
      "\(key.rawValue) can't be held: its storage was made when nothing counted it, or nothing does any more",
      hint: "'slicectl set \(record.name) \(key.rawValue)=max' goes without; else create it anew")
  }
}
