import SystemTestSupport

/// A small Debian system as a tar file, made once by debootstrap(8) and kept in the build directory.
enum DebianTree {
  static let archive = Host.packageDirectory + "/build/cache/debian.tar"

  /// Why there is none; nil when there is.
  static let obstacle: String? = {
    if HostFiles.exists(archive) { return nil }
    let script = Host.packageDirectory + "/Tests/ServiceTests/debian-tree"
    guard let result = try? Command.run([script, archive], timeout: 500) else {
      return "needs bash and debootstrap"
    }
    return result.status == 0 ? nil : "debootstrap failed: \(result.errors)"
  }()
}
