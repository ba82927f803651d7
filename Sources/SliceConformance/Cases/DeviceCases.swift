import Glibc

/// Devices and terminals.
enum DeviceCases {
  static let all: [ConformanceCase] = [
    .probe("device.make", "no device is made", "mknod(2)", depth: [.capabilities, .userNamespace]),
    .probe(
      "device.listed",
      "/dev has null, zero, full, random, urandom, tty and terminals, and no other device",
      "devices.txt of the kernel", needs: [.freshDevices]),
    .probe(
      "device.replace", "nothing in /dev is replaced by a link", "CVE-2025-52565",
      needs: [.userNamespace], depth: [.freshDevices]),
    .script(
      "device.open", "a device that got into a slice all the same is not opened",
      "cgroup-v2 of the kernel, device controller", needs: [.deviceProgram], open),
    .probe("device.change", "no device's mode is changed", "chmod(2)", needs: [.userNamespace]),
    .probe(
      "terminal.type", "nothing is typed into a terminal for who reads it", "CVE-2017-5226",
      depth: [.argumentFilter, .capabilities]),
    .probe(
      "terminal.line-discipline", "a terminal keeps its line discipline", "ioctl_tty(2)",
      needs: [.argumentFilter]),
    .probe(
      "terminal.foreign", "a command's terminal is of the slice, not the caller's", "CVE-2017-5226",
      needs: [.ownTerminal], control: .bare(.text("control"))),
  ]

  /// The host's root makes one in the slice's /dev, where devices count: /dev/fuse, whose opening does nothing.
  private static func open(_ bed: TestBed) throws -> Verdict {
    let slice = try bed.idle.get()
    let name = "/dev/conformance-probe"
    let path = "/proc/\(try bed.initProcess(of: slice))/root\(name)"
    let fuse: dev_t = 10 << 8 | 229  // devices.txt of the kernel
    guard mknod(path, S_IFCHR | 0o666, fuse) == 0 else {
      throw TestBed.Unenforceable(reason: "mknod(\(path)): errno \(errno); it needs root")
    }
    defer { unlink(path) }
    chmod(path, 0o666)
    let inside = try bed.probe(in: slice, ["run", "files.opened=\(name)"])
    guard let answer = ProbeAnswer.all(in: inside.output).values.first else {
      return .error("no answer: \(inside.complaint)")
    }
    if answer.outcome == .broken { return .fail(answer.text) }
    let control = ProbeAnswer.all(in: try bed.probe(["run", "files.opened=\(path)"]).output)
      .values.first
    return control?.outcome == .broken
      ? .pass : .skip("the host doesn't open it either: \(control?.text ?? "no answer")")
  }
}
