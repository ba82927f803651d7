import Descriptor
import Glibc
import SliceKernel
import SliceModel

extension HostFacts {
  /// Asks the kernel.
  public static func read() throws(SliceError) -> HostFacts {
    try reporting("find out what the host has") { () throws(SystemError) in
      HostFacts(
        memoryBytes: try memory(), processors: try onlineProcessors(),
        processIDs: try parsed("/proc/sys/kernel/pid_max") { UInt64($0) })
    }
  }

  /// Those that a cpu.set may name now: processors come and go while the host runs
  /// (cputopology.rst).
  static func onlineProcessors() throws(SystemError) -> ProcessorSet {
    try parsed("/sys/devices/system/cpu/online") { ProcessorSet($0) }
  }

  /// MemTotal, in bytes: what the kernel has left for all (proc_meminfo(5)).
  private static func memory() throws(SystemError) -> UInt64 {
    try parsed("/proc/meminfo") { text in
      let line = text.split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
      return line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) }.map { $0 << 10 }
    }
  }

  private static func parsed<Value>(
    _ path: String, _ parse: (String) -> Value?
  ) throws(SystemError) -> Value {
    guard let value = parse(try Files.readText(path)) else {
      throw SystemError(code: EPROTO, operation: "read", subject: path)
    }
    return value
  }
}
