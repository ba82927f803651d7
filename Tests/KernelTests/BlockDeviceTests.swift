import CKernel
import Glibc
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceKernel

/// The device of the storage, found in a sysfs of plain files and links.
@Suite struct BlockDeviceTests {
  private let directory = try! TemporaryDirectory()

  private var tree: BlockDeviceTree {
    BlockDeviceTree(sysfs: directory.path, cgroup: Cgroup(path: directory["cgroup"]))
  }

  /// A disk with one partition, or none.
  private func addDisk(
    _ name: String, _ number: String, queued: Bool = true, partition: String? = nil
  ) throws {
    for path in ["dev/block", "block/\(name)/queue", "block/\(name)/slaves", "cgroup"] {
      try Files.makeDirectories(directory[path], mode: 0o755)
    }
    try HostFiles.write("\(number)\n", to: directory["block/\(name)/dev"])
    try HostFiles.write("[none] bfq\n", to: directory["block/\(name)/queue/scheduler"])
    if queued { mkdir(directory["block/\(name)/mq"], 0o755) }
    symlink("../../block/\(name)", directory["dev/block/\(number)"])
    guard let partition else { return }
    mkdir(directory["block/\(name)/\(name)1"], 0o755)
    try HostFiles.write("1\n", to: directory["block/\(name)/\(name)1/partition"])
    try HostFiles.write("\(partition)\n", to: directory["block/\(name)/\(name)1/dev"])
    symlink("../../block/\(name)/\(name)1", directory["dev/block/\(partition)"])
  }

  private func put(_ upper: String, on lower: String) {
    symlink(
      "../../../block/\(lower)",
      directory["block/\(upper)/slaves/\(lower.split(separator: "/").last!)"])
  }

  @Test func aPartitionMeansItsDisk() throws {
    try addDisk("sda", "8:0", partition: "8:1")
    #expect(tree.described(BlockDevice(major: 8, minor: 1)).description == "8:0")
    #expect(tree.described(BlockDevice(major: 8, minor: 0)).description == "8:0")
  }

  @Test func aVolumeIsBoundedItselfAndWeighedBelow() throws {
    try addDisk("sda", "8:0", partition: "8:1")
    try addDisk("dm-0", "253:0", queued: false)
    try addDisk("dm-1", "253:1", queued: false)
    put("dm-1", on: "dm-0")
    put("dm-0", on: "sda/sda1")
    let volume = BlockDevice(major: 253, minor: 1)
    #expect(tree.described(volume).description == "253:1")
    #expect(tree.scheduled(volume)?.description == "8:0")
    // Over two disks nothing shares it.
    try addDisk("sdb", "8:16")
    put("dm-0", on: "sdb")
    #expect(tree.scheduled(volume) == nil)
    #expect(tree.described(volume).weights == .none(remedy: nil))
  }

  @Test func whatSharesByWeightIsRead() throws {
    try addDisk("sda", "8:0")
    func weights() -> BlockDevice.Weights {
      tree.described(BlockDevice(major: 8, minor: 0)).weights
    }
    guard case .none(let remedy?) = weights() else { return #expect(Bool(false), "\(weights())") }
    #expect(remedy.hasSuffix("/dev/block/8:0/queue/scheduler"))
    try HostFiles.write("8:16 enable=1 ctrl=auto\n", to: directory["cgroup/io.cost.qos"])
    #expect(
      weights() == .none(remedy: "echo '8:0 enable=1' > \(directory["cgroup"])/io.cost.qos"))
    try HostFiles.write("none mq-deadline [bfq]\n", to: directory["block/sda/queue/scheduler"])
    #expect(weights() == .bfq)
    try HostFiles.write(
      "8:16 enable=1 ctrl=auto\n8:0 enable=1 ctrl=user\n", to: directory["cgroup/io.cost.qos"])
    #expect(weights() == .cost)
  }

  @Test func numbersAreTakenApart() {
    #expect(
      BlockDevice(number: kernel_device_number(259, 1_048_000)).description == "259:1048000")
    #expect(BlockDevice(number: kernel_device_number(5000, 3)).description == "5000:3")
  }

  @Test func theMountThatHoldsAPathIsTheInnermostAndLatest() {
    let table = """
      1 0 8:1 / / rw - ext4 /dev/sda1 rw
      2 1 8:2 / /var rw - ext4 /dev/sda2 rw
      3 1 8:3 / /var rw shared:1 - xfs /dev/sda3 rw,prjquota
      4 1 8:4 / /variable rw - ext4 /dev/sda4 rw
      """
    let found = MountedFileSystem.holding("/var/lib/slices", table: table)
    #expect(found?.source == "/dev/sda3" && found?.type == "xfs")
    #expect(found?.options == ["rw", "prjquota"])
    #expect(MountedFileSystem.holding("/home", table: table)?.mountPoint == "/")
  }
}
