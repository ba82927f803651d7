import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Where the writable layers of all slices lie, and what bounds them: project quotas of the state
/// directory's own file system, else of one in an image that all slices share. The same calls serve
/// both, and a bound can be changed while the slice runs, either way.
///
/// A slice's project is the first of its host ids, so no two slices have the same.
public struct SliceStorage: Sendable {
  /// What holds `disk.max` and `disk.files.max`.
  public enum Bounds: Sendable {
    case quotas(ProjectQuotas, StorageImage?)
    case none(QuotaObstacle)
  }

  /// The directory that holds one of each slice.
  public let path: String
  public let bounds: Bounds

  private var quotas: ProjectQuotas? {
    if case .quotas(let quotas, _) = bounds { quotas } else { nil }
  }

  /// The word that stands for it in reports and in the log.
  public var mode: String {
    switch bounds {
    case .quotas(_, nil): "quota"
    case .quotas(_, .some): "image"
    case .none: "unbounded"
    }
  }

  /// The device whose `io.*` files bound the slices, as it is now: an administrator may turn
  /// weights on and off.
  public var device: BlockDevice? { BlockDevice.below(path) }

  // MARK: - The node's start

  /// Finds what an earlier start left, or prepares it. An image that is there and can't be mounted is
  /// an error: it holds the slices' data.
  public init(layout: NodeLayout, policy: NodePolicy) throws(SliceError) {
    path = layout.storage
    let image = StorageImage(
      path: layout.storageImage, isPreallocated: policy.storagePreallocate)
    try reporting("prepare \(layout.storage)") { () throws(SystemError) in
      try Files.makeDirectory(layout.storage, mode: 0o700, existingIsFine: true)
      try image.removeUnfinished()
    }
    if image.exists { try Self.takeOver(image, at: path, size: policy.storageImage?.bytes) }
    if let found = try Self.openQuotas(path) {
      bounds = .quotas(found, image.exists ? image : nil)
      return
    }
    do throws(SliceError) {
      bounds = .quotas(try Self.makeImage(image, at: path, policy: policy), image)
    } catch {
      bounds = .none(QuotaObstacle(error))
    }
  }

  private static func openQuotas(_ path: String) throws(SliceError) -> ProjectQuotas? {
    try reporting("look for project quotas") { () throws(SystemError) in
      try ProjectQuotas(of: path)
    }
  }

  private static func takeOver(
    _ image: StorageImage, at path: String, size: UInt64?
  ) throws(SliceError) {
    let present = try reporting("read the storage image") { () throws(SystemError) in
      try image.size()
    }
    let wanted = size ?? present
    guard wanted >= present else {
      throw SliceError(
        .usage,
        "storage.image=\(ByteSize(bytes: wanted)) is less than the \(ByteSize(bytes: present)) that \(image.path) has",
        hint: "an image can grow and not shrink: set storage.image to that size or more")
    }
    try reporting(
      "mount the slices' storage",
      hint: "the slices' files are in \(image.path): see the kernel's log, try e2fsck on it"
    ) { () throws(SystemError) in
      if !image.isMounted(at: path) { try mount(image, at: path) }
      try image.grow(to: wanted, mountedAt: path)
    }
  }

  private static func mount(_ image: StorageImage, at path: String) throws(SystemError) {
    try image.mount(at: path)
    // mke2fs lets everybody in.
    try checked("chmod", path) { chmod(path, 0o700) }
  }

  /// Makes the image and mounts it; leaves nothing when that fails.
  private static func makeImage(
    _ image: StorageImage, at path: String, policy: NodePolicy
  ) throws(SliceError) -> ProjectQuotas {
    let isEmpty = try reporting("prepare \(path)") { () throws(SystemError) in
      try Files.list(path).isEmpty
    }
    guard isEmpty else {
      throw SliceError(
        .failed, "slices from before lie in \(path), which has none",
        hint: "destroy them, then restart sliced: it makes an image for new ones")
    }
    let free = try Self.freeBytes(path)
    let size = (policy.storageImage?.bytes ?? free / 2) / StorageImage.step * StorageImage.step
    guard size >= StorageImage.leastBytes else {
      throw SliceError(
        .failed, "\(free >> 20)M of free space are too little for an image",
        hint: "give the state directory 128M or more")
    }
    do throws(SliceError) {
      try image.make(bytes: size)
      try reporting("mount an image with project quotas") { () throws(SystemError) in
        try mount(image, at: path)
      }
      if let quotas = try openQuotas(path) { return quotas }
      throw SliceError(.failed, "the kernel mounts an image without its quotas")
    } catch {
      // Nothing is in it. What stays of it is taken over, or removed, by the next start.
      umount2(path, Int32(MNT_DETACH))
      try? image.removeUnfinished()
      try? Files.remove(image.path)
      throw error
    }
  }

  private static func freeBytes(_ path: String) throws(SliceError) -> UInt64 {
    try reporting("ask for free space") { () throws(SystemError) in
      var info = statvfs()
      try checked("statvfs", path) { statvfs(path, &info) }
      return UInt64(info.f_bavail) * UInt64(info.f_frsize)
    }
  }

  // MARK: - Slices

  /// The keys of `settings` that can't be held here.
  func gaps(_ settings: Settings) -> [EnforcementGap] {
    guard case .none(let obstacle) = bounds else { return [] }
    return Settings.quotaKeys.filter { settings[$0] != nil }.map {
      EnforcementGap($0, missing: obstacle.reason, remedy: obstacle.remedy)
    }
  }

  /// Makes the directories of a slice's writable layer, bounded from the first file on.
  func make(
    _ place: SliceLayout, owner: UInt32, settings: Settings
  ) throws(SliceError) {
    try reporting("make \(place.storage)") { () throws(SystemError) in
      try Files.makeDirectory(place.storage, mode: 0o700)
      for (path, id) in [(place.upper, owner), (place.work, 0)] {
        try Files.makeDirectory(path, mode: 0o755)
        try checked("chown", path) { chown(path, id, id) }
        // overlayfs makes files in `work` and moves them: between projects it could not.
        try quotas?.assign(path, to: owner)
      }
      try bound(owner, settings)
    }
  }

  /// Makes the kernel hold what `settings` say, whatever it held before.
  private func bound(_ project: UInt32, _ settings: Settings) throws(SystemError) {
    try quotas?.bound(
      project, maxBytes: settings.bytes(.diskMax), maxFiles: settings.count(.diskFilesMax))
  }

  /// As `bound`, if it differs from `previous`; nil: whatever was before.
  func apply(
    _ settings: Settings, insteadOf previous: Settings?, project: UInt32
  ) throws(SliceError) {
    if let previous {
      guard Settings.quotaKeys.contains(where: { settings[$0] != previous[$0] }) else { return }
    }
    try reporting("set disk.max and disk.files.max") { () throws(SystemError) in
      try bound(project, settings)
    }
  }

  /// Refuses bounds below what is used: who asks for them frees space first.
  func requireRoom(
    for settings: Settings, insteadOf previous: Settings, project: UInt32
  ) throws(SliceError) {
    guard let account = account(project) else { return }
    func check(
      _ key: Key, _ bound: UInt64?, used: UInt64, _ text: (UInt64) -> String
    ) throws(SliceError) {
      guard settings[key] != previous[key], let bound, bound < used else { return }
      throw SliceError(
        .failed, "\(key.rawValue)=\(text(bound)) is below the \(text(used)) that are used",
        hint: "nothing was changed; remove files of the slice first")
    }
    try check(.diskMax, settings.bytes(.diskMax), used: account.usedBytes) {
      "\(ByteSize(bytes: $0))"
    }
    try check(.diskFilesMax, settings.count(.diskFilesMax), used: account.usedFiles) { "\($0)" }
  }

  /// What a slice uses and may use; nil where nothing counts it.
  func account(_ project: UInt32) -> ProjectQuotas.Account? { try? quotas?.account(project) }

  /// Whether what a slice writes counts for it, as far as anything counts here: not if its layer was
  /// made before there were quotas.
  func counts(_ place: SliceLayout, project: UInt32) -> Bool {
    guard let quotas else { return true }
    return (try? quotas.project(of: place.upper)) == project
  }

  /// Removes the layer of a slice, then the bounds, which a later slice must not find.
  func remove(_ place: SliceLayout, project: UInt32) throws {
    try Files.removeTree(place.storage)
    try bound(project, Settings())
  }

  /// Removes layers and bounds that belong to no slice. Returns them in words.
  ///
  /// - Parameters:
  ///   - names: of the slices that there are, and `projects` theirs.
  ///   - range: all projects that slices can have.
  func sweep(
    keeping names: Set<String>, projects: Set<UInt32>, of range: ClosedRange<UInt32>
  ) -> [String] {
    var removed: [String] = []
    func note(_ what: String, _ action: () throws -> Void) {
      do {
        try action()
        removed.append(what)
      } catch {
        removed.append("\(what), which could not be removed: \(error)")
      }
    }
    // What can't be listed can't be swept; the next create would say why.
    for name in (try? Files.list(path)) ?? [] where !names.contains(name) {
      guard SliceName.isValid(name) else { continue }  // lost+found
      note("storage \(name)") { try Files.removeTree(path + "/" + name) }
    }
    for (project, account) in (try? quotas?.projects(in: range)) ?? [:]
    where account.isBounded && !projects.contains(project) {
      note("quota of project \(project)") { try bound(project, Settings()) }
    }
    return removed
  }
}
