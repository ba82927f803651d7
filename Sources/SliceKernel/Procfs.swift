import CKernel
import Descriptor

/// A procfs that is mounted nowhere, for the sysctls of namespaces that are being made.
///
/// Every namespace has its own `/proc/sys/net/ipv4` and `/proc/sys/user/max_user_namespaces`, under the
/// same name; of those that were looked up in one procfs the kernel compares each, one by one
/// (proc_sys_compare() in its fs/proc/proc_sysctl.c). With thousands of slices that would take longer
/// than all the rest of a namespace. So it is done in one that is given up afterwards.
public struct Procfs: Sendable {
  public let root: SharedFD

  public init() throws(SystemError) {
    let made = try checked("fsopen, fsmount", "proc") { kernel_make_procfs() }
    root = SharedFD(OwnedFD(adopting: made), label: "procfs")
  }
}
