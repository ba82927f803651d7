import Glibc

/// The block device whose `io.*` files bound what slices read and write of their storage.
///
/// It is the one directly below the file system: the loop device of an image, a device mapper's
/// volume, of a partition the whole disk, which is what the io controller knows. Not the disk at the
/// bottom: io.max and io.cost of that hold as well, by the byte, since loop works for who wrote
/// (Linux 5.14); but what waits there holds the requests of the device above, of which there are 128
/// for all. Measured with 5 MiB/s for one slice behind two loop devices: a neighbour's 50 MiB took
/// 12 s instead of 0.3, and weights of 1:3 for buffered writes gave 1:2; above, 0.3 s and 1:3.
public struct BlockDevice: Sendable, Hashable, CustomStringConvertible {
  public var major: UInt32
  public var minor: UInt32
  /// What shares it by weight.
  public var weights: Weights

  public enum Weights: Sendable, Hashable {
    /// blk-iocost, which obeys io.weight.
    case cost
    /// The BFQ scheduler, which obeys io.bfq.weight, 1 to 1000.
    case bfq
    /// Nothing; with the command that turns one on, where there is one.
    case none(remedy: String?)
  }

  public init(major: UInt32, minor: UInt32, weights: Weights = .none(remedy: nil)) {
    self.major = major
    self.minor = minor
    self.weights = weights
  }

  /// As `io.max` names it.
  public var description: String { "\(major):\(minor)" }

  /// Of the file system that holds `path`, `MAJOR:MINOR`; nil where there is no such path. The major
  /// number is 0 for one without a device of its own: tmpfs, btrfs, overlay.
  public static func number(of path: String) -> BlockDevice? {
    var info = stat()
    guard stat(path, &info) == 0 else { return nil }
    return BlockDevice(number: UInt64(info.st_dev))
  }

  init(number: UInt64) {
    // makedev(3)
    self.init(
      major: UInt32((number >> 8) & 0xFFF) | UInt32((number >> 32) & 0xFFFF_F000),
      minor: UInt32(number & 0xFF) | UInt32((number >> 12) & 0xFFFF_FF00))
  }
}
