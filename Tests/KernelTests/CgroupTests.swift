import Descriptor
import Glibc
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceKernel

/// Settings become values of files.
@Suite struct CgroupValueTests {
  private let device = BlockDevice(major: 8, minor: 16, weights: .cost)

  private func values(_ texts: [Key: String], device: BlockDevice? = nil) throws -> [String: String]
  {
    let settings = try Settings(
      texts: Dictionary(uniqueKeysWithValues: texts.map { ($0.key.rawValue, $0.value) }))
    // io.max has a line for each limit.
    return Dictionary(
      CgroupControllers.values(settings, device: device).map { ($0.file, $0.value) },
      uniquingKeysWith: { $0 + "\n" + $1 })
  }

  @Test func whatIsNotSetHasTheKernelsDefault() throws {
    #expect(
      try values([:]) == [
        "cpu.weight": "100", "cpu.max": "max 100000", "cpuset.cpus": "\n", "memory.min": "0",
        "memory.low": "0", "memory.high": "max", "memory.max": "max", "memory.swap.max": "max",
        "pids.max": "max", "slice/memory.min": "0", "slice/memory.low": "0",
      ])
  }

  @Test(arguments: [
    (Key.cpuWeight, "200", "cpu.weight", "200"), (.cpuWeight, "1", "cpu.weight", "1"),
    (.cpuWeight, "10000", "cpu.weight", "10000"), (.cpuMax, "150%", "cpu.max", "150000 100000"),
    (.cpuMax, "1.5", "cpu.max", "150000 100000"), (.cpuMax, "1%", "cpu.max", "1000 100000"),
    (.cpuMax, "32", "cpu.max", "3200000 100000"), (.cpuSet, "0-3,8", "cpuset.cpus", "0-3,8"),
    (.memoryMax, "256M", "memory.max", "268435456"), (.memoryMin, "1G", "memory.min", "1073741824"),
    (.memoryLow, "4096", "memory.low", "4096"), (.memoryHigh, "1T", "memory.high", "1099511627776"),
    (.memorySwapMax, "0", "memory.swap.max", "0"), (.pidsMax, "64", "pids.max", "64"),
  ])
  func aSettingIsOneValue(key: Key, text: String, file: String, value: String) throws {
    #expect(try values([key: text])[file] == value)
  }

  /// Without memory_recursiveprot the kernel protects only what every level says.
  @Test func floorsAreHandedDownToTheSlicesOwnCgroup() throws {
    let all = try values([.memoryMin: "1G", .memoryLow: "2G"])
    #expect(all["slice/memory.min"] == "1073741824")
    #expect(all["slice/memory.low"] == "2147483648")
  }

  @Test func aWeightIsForWhatSharesTheDevice() throws {
    var device = device
    #expect(try values([.ioWeight: "50"], device: device)["io.weight"] == "default 50")
    device.weights = .bfq
    #expect(try values([.ioWeight: "50"], device: device)["io.bfq.weight"] == "default 50")
    device.weights = .none(remedy: nil)
    #expect(try values([.ioWeight: "50"], device: device).keys.allSatisfy { $0 != "io.weight" })
  }

  @Test func deviceLimitsNameTheDevice() throws {
    let all = try values(
      [.ioReadMax: "1M", .ioWriteMax: "2M", .ioReadIopsMax: "100", .ioWriteIopsMax: "200"],
      device: device)
    #expect(
      all["io.max"] == "8:16 rbps=1048576\n8:16 wbps=2097152\n8:16 riops=100\n8:16 wiops=200")
    #expect(
      try values([:], device: device)["io.max"]
        == "8:16 rbps=max\n8:16 wbps=max\n8:16 riops=max\n8:16 wiops=max")
  }

  @Test func everyControllersKeyHasAFile() throws {
    let keys = Set(CgroupControllers.values(Settings(), device: device).map(\.key))
    for key in Key.allCases {
      if case .controller = key.enforcer { #expect(keys.contains(key), "\(key)") }
    }
  }
}

/// Changes on a directory of plain files that stands for a cgroup. A cgroup's file takes a write as
/// a whole, a plain one keeps what lies behind it: so the values here are all of one length.
@Suite struct CgroupApplyTests {
  private let directory: TemporaryDirectory
  private let cgroup: Cgroup
  private static let files = [
    "cpu.weight": "100", "memory.max": "max", "pids.max": "max", "io.weight": "default 100",
  ]

  init() throws {
    directory = try TemporaryDirectory()
    cgroup = Cgroup(path: directory.path)
    for (name, value) in Self.files { try HostFiles.write(value, to: directory[name]) }
  }

  private func settings(_ texts: [Key: String]) throws -> Settings {
    try Settings(texts: Dictionary(uniqueKeysWithValues: texts.map { ($0.key.rawValue, $0.value) }))
  }

  private var contents: [String: String] {
    Dictionary(uniqueKeysWithValues: Self.files.keys.map { ($0, HostFiles.text(directory[$0])) })
  }

  @Test func onlyWhatChangesIsWritten() throws {
    try HostFiles.write("untouched", to: directory["memory.max"])
    try cgroup.apply(
      settings([.cpuWeight: "300", .pidsMax: "200"]), insteadOf: Settings(), device: nil)
    #expect(contents["cpu.weight"] == "300")
    #expect(contents["pids.max"] == "200")
    #expect(contents["memory.max"] == "untouched")
  }

  @Test func removingASettingBringsTheDefaultBack() throws {
    let old = try settings([.cpuWeight: "300"])
    try cgroup.apply(old, insteadOf: Settings(), device: nil)
    try cgroup.apply(Settings(), insteadOf: old, device: nil)
    #expect(contents["cpu.weight"] == "100")
  }

  @Test func afterAFailureEverythingIsAsItWas() throws {
    // A directory in the place of the last file: writing it fails with EISDIR, for root too.
    unlink(directory["io.weight"])
    mkdir(directory["io.weight"], 0o755)
    let before = contents
    let error = #expect(throws: SliceError.self) {
      try cgroup.apply(
        settings([.cpuWeight: "300", .pidsMax: "200", .ioWeight: "500"]), insteadOf: Settings(),
        device: BlockDevice(major: 8, minor: 0, weights: .cost))
    }
    #expect(error?.message.contains("io.weight") == true)
    #expect(error?.hint == "nothing was changed")
    #expect(contents == before)
  }

  @Test func whatTheHostCannotHoldIsNamed() throws {
    try HostFiles.write("cpu memory\n", to: directory["cgroup.controllers"])
    let gaps = try cgroup.unenforceable(
      settings([.cpuWeight: "5", .pidsMax: "20", .ioReadMax: "1M", .grantNest: "true"]), device: nil
    )
    #expect(Set(gaps.map(\.key)) == [.pidsMax, .ioReadMax, .grantNest])
    #expect(gaps.first { $0.key == .pidsMax }?.missing.contains("'pids'") == true)
  }

  @Test func limitsOfADeviceNeedADevice() throws {
    try HostFiles.write("io\n", to: directory["cgroup.controllers"])
    let wanted = try settings([.ioReadMax: "1M", .ioWeight: "50"])
    #expect(try cgroup.unenforceable(wanted, device: nil).map(\.key) == [.ioWeight, .ioReadMax])
    var device = BlockDevice(major: 8, minor: 0, weights: .none(remedy: "turn it on"))
    let gaps = try cgroup.unenforceable(wanted, device: device)
    #expect(gaps.map(\.key) == [.ioWeight])
    #expect(gaps.first?.missing.contains("8:0") == true && gaps.first?.remedy == "turn it on")
    device.weights = .bfq
    #expect(try cgroup.unenforceable(wanted, device: device).isEmpty)
    let heavy = try settings([.ioWeight: "1001"])
    #expect(try cgroup.unenforceable(heavy, device: device).count == 1)
    device.weights = .cost
    #expect(try cgroup.unenforceable(heavy, device: device).isEmpty)
  }
}

/// A cgroup of the kernel's.
@Suite(.requiresRoot, .enabled(if: Host.cgroupMount != nil, "needs cgroup v2"))
struct CgroupKernelTests {
  @Test func killEndsEverythingInItAndRemoveTakesTheWhole() throws {
    let cgroup = Cgroup(path: "\(Host.cgroupMount!)/slices-kernel-test-\(getpid())")
    try cgroup.create()
    defer { try? cgroup.remove() }
    #expect(throws: SystemError.self) { try cgroup.create() }
    try cgroup.create(existingIsFine: true)
    let inner = cgroup.child("inner")
    try inner.create()
    let sleeper = try BackgroundCommand(["sleep", "1000"])
    try inner.write("\(sleeper.pid)", to: "cgroup.procs")
    #expect(try cgroup.isPopulated())
    try cgroup.setFrozen(true)
    try cgroup.kill()
    #expect(sleeper.wait(seconds: 10).status == 128 + SIGKILL)
    try cgroup.remove()
    #expect(!cgroup.exists)
    try cgroup.remove()
  }
}
