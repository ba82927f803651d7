import CKernel
import Descriptor
import Glibc
import SliceModel

/// Programs of the host that do what would be too much to write anew.
public enum HostProgram {
  private static let directories = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]

  /// Runs a program to its end, with nothing to read and no environment.
  ///
  /// - Throws: with what it wrote last to standard error, when it fails; says so when it is not
  ///   installed, with `package` as the remedy.
  public static func run(
    _ name: String, _ arguments: [String], package: String
  ) throws(SliceError) {
    guard let path = directories.map({ $0 + "/" + name }).first(where: Files.exists) else {
      throw SliceError(
        .failed, "\(name) is not installed", hint: "apt install \(package)")
    }
    let (status, errors) = try reporting("run \(path)") { () throws(SystemError) in
      let messages = OwnedFD(
        adopting: try checked("memfd_create", name) { kernel_memory_file(name) })
      let pid = try spawn(path, [name] + arguments, errors: messages.rawValue)
      let process = try PidFD(pid: pid)
      let status = try process.wait()
      try checked("lseek", name) { [number = messages.rawValue] in lseek(number, 0, SEEK_SET) }
      return (status, try Files.read(messages.rawValue, path: name))
    }
    guard status.isSuccess else {
      let lines = String(decoding: errors, as: UTF8.self).split(separator: "\n")
      throw SliceError(
        .failed, "\(name) \(status): \((lines.last ?? "").description.escapedForTerminal)")
    }
  }

  private static func spawn(
    _ path: String, _ arguments: [String], errors: Int32
  ) throws(SystemError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // The supervisor's threads have signals blocked and SIGPIPE ignored.
    var (all, none) = (sigset_t(), sigset_t())
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var argv = arguments.map { strdup($0) } + [nil]
    defer { argv.forEach { free($0) } }
    var environment: [UnsafeMutablePointer<CChar>?] = [nil]
    var pid: pid_t = 0
    let code = posix_spawn(&pid, path, &actions, &attributes, &argv, &environment)
    guard code == 0 else { throw SystemError(code: code, operation: "posix_spawn", subject: path) }
    return pid
  }
}
