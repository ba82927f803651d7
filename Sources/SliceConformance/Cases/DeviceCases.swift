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
}
