import SliceKernel
import SliceModel

/// Why `disk.max` and `disk.files.max` can't be held: in the words of refusals and of `doctor`.
public struct QuotaObstacle: Sendable, Hashable {
  public var reason: String
  public var remedy: String

  /// - Parameter error: of making an image.
  init(_ error: SliceError) {
    reason =
      "the file system of the state directory holds no project quotas, and an image that would can't be had: \(error.message)"
    remedy =
      error.hint
      ?? "use a kernel with CONFIG_QFMT_V2 and CONFIG_BLK_DEV_LOOP, or give the state directory an xfs or ext4 of its own, mounted with prjquota"
  }
}
