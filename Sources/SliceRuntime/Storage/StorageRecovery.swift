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
  /// Refuses bounds that are below what the slice uses, or that nothing would count for it.
  func requireRoom(for settings: Settings, of record: SliceRecord) throws(SliceError) {
    let project = project(record.number)
    try storage.requireCounting(
      Settings.quotaKeys.first { settings[$0] != nil && settings[$0] != record.spec.settings[$0] },
      layout.slice(try SliceName(record.name)), project: project)
    try storage.requireRoom(for: settings, insteadOf: record.spec.settings, project: project)
  }
}

extension Settings {
  /// The keys that a project quota holds.
  static let quotaKeys = Key.allCases.filter { $0.enforcer == .quota }
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
    let key = Settings.quotaKeys.first {
      record.spec.settings[$0] != nil && !record.unenforced.contains($0.rawValue)
    }
    guard let obstacle = gaps(record.spec.settings).first, key != nil else {
      return try requireCounting(key, place, project: project)
    }
    throw SliceError(
      .unenforceable, "this host cannot enforce \(obstacle.key.rawValue): \(obstacle.missing)",
      hint: obstacle.remedy)
  }

  /// Refuses `key`, which is asked for, where quotas are there and do not count what the slice
  /// writes: its layer was made before them.
  fileprivate func requireCounting(
    _ key: Key?, _ place: SliceLayout, project: UInt32
  ) throws(SliceError) {
    guard let key, !counts(place, project: project) else { return }
    throw SliceError(
      .unenforceable,
      "\(key.rawValue) can't be held: the slice's storage was made when nothing counted it",
      hint: "create it anew, or leave \(key.rawValue) out")
  }
}
