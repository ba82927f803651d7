import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

extension SliceStorage {
  /// Why this host can't have an image with project quotas, found by making one in memory and
  /// mounting it where nobody else sees it; nil: it can. Root only; moves the calling thread into a
  /// mount namespace of its own for good.
  static func obstacle() -> QuotaObstacle? {
    do throws(SliceError) {
      try reporting("make a mount namespace") { () throws(SystemError) in
        try checked("unshare") { kernel_unshare(kernel_new_mount) }
        try checked("mount", "/") { mount(nil, "/", nil, UInt(MS_REC | MS_PRIVATE), nil) }
        try checked("mount(tmpfs)", "/mnt") {
          mount("none", "/mnt", "tmpfs", 0, "mode=700,size=128m")
        }
        try Files.makeDirectory("/mnt/storage", mode: 0o700)
      }
      let image = StorageImage(path: "/mnt/image", isPreallocated: false)
      try image.make(bytes: StorageImage.leastBytes)
      try reporting("mount an image with project quotas") { () throws(SystemError) in
        try image.mount(at: "/mnt/storage")
      }
      return nil
    } catch {
      return QuotaObstacle(error)
    }
  }
}
