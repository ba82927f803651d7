import CKernel
import Descriptor
import Glibc
import SliceModel

/// What a privileged process gives up for good, for itself and for all that it starts.
public enum OwnPrivileges {
  /// Leaves exactly these capabilities, less those that it does not have; forbids gaining others by
  /// executing; forbids calls. Only before a second thread runs, which would keep what it has.
  public static func giveUp(
    keeping capabilities: CapabilitySet, filters: [SeccompProgram]
  ) throws(SliceError) {
    #if DEBUG
      if Mutation.current != nil { return }
    #endif
    try reporting("give up privileges") { () throws(SystemError) in
      let threads = try Files.list("/proc/self/task")
      guard threads.count == 1 else {
        throw SystemError(
          code: EBUSY, operation: "give up privileges", subject: "\(threads.count) threads run")
      }
      try checked("prctl(PR_SET_NO_NEW_PRIVS)") { kernel_forbid_new_privileges() }
      try checked("capset") { kernel_keep_capabilities(capabilities.mask) }
      for filter in filters {
        try checked("seccomp", filter.name) {
          kernel_filter_calls(filter.instructions, filter.instructionCount)
        }
      }
    }
  }
}
