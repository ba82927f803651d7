import Glibc
import SliceKernel
import SliceModel

/// The block device behind a directory.
enum Storage {
  /// Nil where there is none: tmpfs, overlayfs, network file systems (major number 0).
  static func device(of path: String) -> BlockDevice? {
    var info = stat()
    guard stat(path, &info) == 0 else { return nil }
    let number = UInt64(info.st_dev)
    let major = UInt32((number >> 8) & 0xFFF) | UInt32((number >> 32) & ~0xFFF)
    let minor = UInt32(number & 0xFF) | UInt32((number >> 12) & 0xFFFF_FF00)
    guard major != 0 else { return nil }
    return wholeDisk(BlockDevice(major: major, minor: minor))
  }

  /// io.max takes whole disks: of a partition, the disk that it is on.
  private static func wholeDisk(_ device: BlockDevice) -> BlockDevice {
    let path = "/sys/dev/block/\(device)"
    guard Files.exists(path + "/partition"), let text = try? Files.readText(path + "/../dev") else {
      return device  // not a partition
    }
    let numbers = text.split(separator: ":").compactMap { UInt32($0) }
    return numbers.count == 2 ? BlockDevice(major: numbers[0], minor: numbers[1]) : device
  }
}
