import Descriptor
import Glibc
import SliceModel

/// Limits that the kernel counts twice: for a user inside a user namespace, and once more for whoever has made that
/// namespace, there against the maker's limit at that time (`create_user_ns()` in kernel/user_namespace.c,
/// `inc_rlimit_ucounts()` in kernel/ucount.c).
///
/// All slices' namespaces are made by the supervisor, so its own limits would be one account for all of them. It raises
/// them before it makes any, and gives those that it was started with to every process of a slice: there they count for
/// each user of each slice. What these things take is memory, which is charged to the slice that takes it.
///
/// RLIMIT_NPROC is counted so as well and stays as it is: it keeps slices without a `pids.max` from taking every
/// process number of the host.
public enum SharedLimits {
  /// By their numbers in asm-generic/resource.h, which Swift can't import.
  private static let kinds: [(name: String, number: UInt32)] = [
    ("RLIMIT_SIGPENDING", 11), ("RLIMIT_MSGQUEUE", 12), ("RLIMIT_MEMLOCK", 8),
  ]

  /// Of a slice's processes: what this process had when it was first asked.
  public static let ofSlices: [ResourceLimit] = kinds.map { name, number in
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(number), &limit)
    return ResourceLimit(
      name: name, resource: Int32(number), soft: UInt64(limit.rlim_cur),
      hard: UInt64(limit.rlim_max))
  }

  /// Raises them for this process and what it starts, before it makes a user namespace.
  /// - Returns: false without CAP_SYS_RESOURCE: then they stay one account for all slices.
  public static func raise() throws(SystemError) -> Bool {
    _ = ofSlices
    #if DEBUG
      if Mutation.current == .sharedLimits { return true }
    #endif
    for (name, number) in kinds {
      var limit = rlimit(rlim_cur: rlim_t.max, rlim_max: rlim_t.max)  // RLIM_INFINITY
      guard setrlimit(__rlimit_resource_t(number), &limit) < 0 else { continue }
      if errno == EPERM { return false }
      throw SystemError(code: errno, operation: "setrlimit(\(name), infinity)")
    }
    return true
  }
}
