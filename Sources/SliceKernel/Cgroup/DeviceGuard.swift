import CKernel
import Descriptor
import SliceModel

/// Keeps the processes of slices to the devices of their own /dev, whatever file they might find or make
/// (cgroup-v2.rst, "Device controller"). The first locks are that mounts are `nodev` and that nobody
/// inside can make a device.
public struct DeviceGuard: Sendable {
  private let program: SharedFD

  /// `EINVAL` where the kernel has no programs for cgroups.
  public init() throws(SystemError) {
    let loaded = try checked("bpf(BPF_PROG_LOAD)", "devices") { kernel_device_program() }
    program = SharedFD(OwnedFD(adopting: loaded), label: "program for devices")
  }

  /// Holds what is in the cgroup, or below it, until the cgroup goes.
  public func hold(_ cgroup: Cgroup) throws(SystemError) {
    #if DEBUG
      // Without it for a device more, too, which it would not let the launch make.
      if Mutation.current == .anyDevice || Mutation.current == .memoryDevice { return }
    #endif
    let directory = try cgroup.open()
    try checked("bpf(BPF_PROG_ATTACH)", cgroup.path) {
      kernel_hold_devices(program.rawValue, directory.rawValue)
    }
  }
}
