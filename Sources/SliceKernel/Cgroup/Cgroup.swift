import Descriptor
import Glibc
import SliceModel

/// A cgroup: a directory of the cgroup v2 hierarchy (Documentation/admin-guide/cgroup-v2.rst).
public struct Cgroup: Sendable, Hashable {
  public let path: String

  public init(path: String) { self.path = path }

  public func child(_ name: String) -> Cgroup { Cgroup(path: path + "/" + name) }

  public var exists: Bool { Files.exists(path) }

  public func create(existingIsFine: Bool = false) throws(SystemError) {
    try Files.makeDirectory(path, mode: 0o755, existingIsFine: existingIsFine)
  }

  public func read(_ file: String) throws(SystemError) -> String {
    try Files.readText(path + "/" + file)
  }

  public func write(_ text: String, to file: String) throws(SystemError) {
    #if DEBUG
      if Mutation.omits(file, of: path) { return }
    #endif
    try Files.write(text, to: path + "/" + file)
  }

  public func has(_ file: String) -> Bool { Files.exists(path + "/" + file) }

  /// The controllers that can be enabled for children.
  public func controllers() throws(SystemError) -> Set<String> {
    Set(try read("cgroup.controllers").split(separator: " ").map(String.init))
  }

  /// Enables those of `wanted` that are available, one at a time: one that the kernel refuses must
  /// not take the others along.
  public func enableControllers(_ wanted: [String]) throws(SystemError) {
    let available = try controllers()
    for name in wanted where available.contains(name) {
      try write("+\(name)", to: "cgroup.subtree_control")
    }
  }

  /// A descriptor for CLONE_INTO_CGROUP.
  public func open() throws(SystemError) -> SharedFD {
    SharedFD(try Files.open(path, O_RDONLY | O_DIRECTORY), label: "cgroup \(path)")
  }

  /// Whether any process lives in it or below.
  public func isPopulated() throws(SystemError) -> Bool {
    try read("cgroup.events").split(separator: "\n").contains("populated 1")
  }

  /// SIGKILL to every process in it and below, at once: forking does not escape it, nor does
  /// freezing (cgroup.kill, Linux 5.14).
  public func kill() throws(SystemError) {
    try write("1", to: "cgroup.kill")
  }

  /// Whether every process in it and below stands still.
  public var isFrozen: Bool {
    (try? read("cgroup.events"))?.split(separator: "\n").contains("frozen 1") ?? true
  }

  public func setFrozen(_ frozen: Bool) throws(SystemError) {
    try write(frozen ? "1" : "0", to: "cgroup.freeze")
  }

  /// Removes it with everything below, which a slice may have made. Nothing may live in it: waits up
  /// to `milliseconds` for killed processes to be gone (EBUSY then).
  public func remove(waiting milliseconds: Int = 5000) throws(SystemError) {
    guard exists else { return }
    var waited = 0
    while true {
      do {
        try Files.removeDirectories(path)
        return
      } catch {
        guard error.code == EBUSY, waited < milliseconds else { throw error }
      }
      usleep(2000)
      waited += 2
    }
  }

  /// Gives the directory and the files that a delegatee may write (/sys/kernel/cgroup/delegate) to
  /// `owner`, a user and group id of the host. The limits stay ours.
  public func delegate(to owner: UInt32) throws(SystemError) {
    try checked("chown", path) { chown(path, owner, owner) }
    for file in ["cgroup.procs", "cgroup.threads", "cgroup.subtree_control"] {
      let name = path + "/" + file
      try checked("chown", name) { chown(name, owner, owner) }
    }
  }
}
