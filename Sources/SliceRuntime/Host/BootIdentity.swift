import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// What tells a process of this boot from all others.
enum BootIdentity {
  /// Changes with every boot (random(4)).
  static func current() throws(SystemError) -> String {
    try Files.readText("/proc/sys/kernel/random/boot_id")
  }

  /// When a process started, in clock ticks since boot: field 22 of /proc/PID/stat
  /// (proc_pid_stat(5)). The second field may hold spaces and parentheses.
  static func startTicks(of pid: Int32) throws(SystemError) -> UInt64 {
    let path = "/proc/\(pid)/stat"
    let text = try Files.readText(path)
    guard let close = text.lastIndex(of: ")") else {
      throw SystemError(code: EPROTO, operation: "read", subject: path)
    }
    let fields = text[text.index(after: close)...].split(separator: " ")
    guard fields.count > 19, let ticks = UInt64(fields[19]) else {
      throw SystemError(code: EPROTO, operation: "read", subject: path)
    }
    return ticks
  }
}
