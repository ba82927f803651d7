import CStorage
import Descriptor
import Glibc
import SliceModel

/// A file that holds an ext4 file system with project quotas, for hosts whose own has none. Mounted
/// through a loop device, which goes by itself with the last mount.
public struct StorageImage: Sendable, Hashable {
  public let path: String
  /// All its blocks are the file's for good: what lies in it can't run out of space that the host
  /// gave to somebody else.
  public let isPreallocated: Bool

  public init(path: String, isPreallocated: Bool) {
    self.path = path
    self.isPreallocated = isPreallocated
  }

  /// Below this an ext4 file system is mostly its own journal.
  public static let leastBytes: UInt64 = 64 << 20

  /// A size is a multiple of it.
  public static let step: UInt64 = 1 << 20

  public var exists: Bool { Files.exists(path) }
  private var unfinished: String { path + ".new" }

  /// In bytes, of the file and so of the file system.
  public func size() throws(SystemError) -> UInt64 {
    var info = Glibc.stat()
    try checked("stat", path) { stat(path, &info) }
    return UInt64(info.st_size)
  }

  /// Removes what a making that was cut short has left.
  public func removeUnfinished() throws(SystemError) { try Files.remove(unfinished) }

  /// Makes the file and the file system in it; it has its name when it is complete.
  public func make(bytes: UInt64) throws(SliceError) {
    try reporting("make \(unfinished)") { () throws(SystemError) in
      let file = try Files.open(unfinished, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
      try Self.setSize(file.rawValue, unfinished, bytes, preallocate: isPreallocated)
    }
    // The file reads as zeros: to write those of inode tables and journal would only fill it.
    try HostProgram.run(
      "mke2fs",
      [
        "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-O", "quota,project", "-E",
        "quotatype=prjquota,nodiscard,assume_storage_prezeroed=1",
        unfinished,
      ], package: "e2fsprogs")
    try reporting("make \(path)") { () throws(SystemError) in
      let file = try Files.open(unfinished, O_RDONLY)
      try retryingInterrupts("fsync", unfinished) { [number = file.rawValue] in fsync(number) }
      try checked("rename", "\(unfinished) to \(path)") { rename(unfinished, path) }
      try Files.syncDirectory(Files.parent(of: path))
    }
  }

  public func mount(at target: String) throws(SystemError) {
    let file = try Files.open(path, O_RDWR | O_NOFOLLOW)
    var name = [CChar](repeating: 0, count: 32)
    let device = OwnedFD(
      adopting: try checked("ioctl(LOOP_CONFIGURE)", path) { [number = file.rawValue] in
        storage_attach(number, &name, Int32(name.count))
      })
    try checked("mount(prjquota)", "\(path) on \(target)") {
      storage_mount(name, target, isPreallocated ? 0 : 1)
    }
    // Until here the open descriptor kept the device from going.
    _ = consume device
  }

  /// Grows the mounted file system to `bytes`, and the file before it. One that was cut short goes
  /// on here; one that has that size already is left as it is.
  public func grow(to bytes: UInt64, mountedAt target: String) throws(SystemError) {
    if try size() < bytes {
      let file = try Files.open(path, O_RDWR | O_NOFOLLOW)
      try Self.setSize(file.rawValue, path, bytes, preallocate: isPreallocated)
    }
    let device = try Files.open(try device(of: target), O_RDWR)
    try checked("ioctl(LOOP_SET_CAPACITY)", path) { [number = device.rawValue] in
      storage_update_size(number)
    }
    let directory = try Files.open(target, O_RDONLY | O_DIRECTORY)
    try checked("ioctl(EXT4_IOC_RESIZE_FS)", target) { [number = directory.rawValue] in
      storage_grow(number, bytes)
    }
  }

  /// Whether what is mounted at `target` is this image.
  public func isMounted(at target: String) -> Bool {
    guard let number = BlockDevice.number(of: target) else { return false }
    // Absent for what is no loop device.
    return (try? Files.readText("/sys/dev/block/\(number)/loop/backing_file")) == path
  }

  private func device(of target: String) throws(SystemError) -> String {
    guard let number = BlockDevice.number(of: target),
      let name = try Files.readText("/sys/dev/block/\(number)/uevent").split(separator: "\n")
        .first(where: { $0.hasPrefix("DEVNAME=") })
    else { throw SystemError(code: ENODEV, operation: "find the device of", subject: target) }
    return "/dev/" + name.dropFirst("DEVNAME=".count)
  }

  private static func setSize(
    _ file: Int32, _ path: String, _ bytes: UInt64, preallocate: Bool
  ) throws(SystemError) {
    try retryingInterrupts("ftruncate", path) { ftruncate(file, off_t(bytes)) }
    guard preallocate else { return }
    try retryingInterrupts("fallocate", path) { storage_reserve(file, bytes) }
  }
}
