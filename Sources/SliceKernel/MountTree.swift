import CKernel
import Descriptor

/// What a mount forbids (mount_setattr(2)).
public struct MountAttributes: OptionSet, Sendable, Hashable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let readOnly = MountAttributes(rawValue: kernel_mount_readonly)
  public static let noSetuid = MountAttributes(rawValue: kernel_mount_nosuid)
  public static let noDevices = MountAttributes(rawValue: kernel_mount_nodev)
  public static let noExecute = MountAttributes(rawValue: kernel_mount_noexec)
}

extension MountAttributes: CustomStringConvertible {
  public var description: String {
    let names: [(MountAttributes, String)] = [
      (.readOnly, "ro"), (.noSetuid, "nosuid"), (.noDevices, "nodev"), (.noExecute, "noexec"),
    ]
    return names.filter { contains($0.0) }.map(\.1).joined(separator: ",")
  }
}

/// A detached copy of a mount of the host, to be attached in a slice.
public enum MountTree {
  /// Clones what is at `path`.
  ///
  /// - Parameters:
  ///   - path: a directory or file of the host, trusted; a symbolic link is not followed.
  ///   - mapping: shows the owners of its files through this user namespace. EINVAL where the file
  ///     system cannot do that (FS_ALLOW_IDMAP).
  ///   - recursive: takes along what is mounted below it.
  public static func clone(
    _ path: String, attributes: MountAttributes, mapping: UserNamespace? = nil,
    recursive: Bool = false, label: String
  ) throws(SystemError) -> SharedFD {
    let tree = OwnedFD(
      adopting: try checked("open_tree", path) {
        kernel_clone_mount(-100 /* AT_FDCWD */, path, recursive ? 1 : 0)
      })
    let number = tree.rawValue
    try checked(
      mapping == nil ? "mount_setattr" : "mount_setattr(MOUNT_ATTR_IDMAP)", path
    ) {
      kernel_set_mount_attributes(
        number, attributes.rawValue, mapping?.descriptor.rawValue ?? -1, recursive ? 1 : 0)
    }
    return SharedFD(tree, label: label)
  }
}
