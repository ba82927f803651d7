import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Ceilings and weights of the device below the slices' storage, by what the kernel counts there.
/// Where this host has no io controller these run in the lab.
@Suite(.requiresSlices, .requiresQuotas, .requiresController("io"), .serialized)
struct StorageBandwidthTests {
  private let megabyte = 1_048_576.0

  /// A slice of the host's programs: its dd can go past the page cache.
  private func create(_ node: TestNode, _ name: String, _ command: String = "sleep 100000") throws {
    let result = try node.slicectl("create", name, "--", "sh", "-c", command)
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
  }

  private func device(_ node: TestNode, _ slice: String) throws -> String {
    try #require(try node.inspect(slice)["storage"]["device"].string)
  }

  /// A figure of io.stat: rbytes, wbytes, rios or wios.
  private func figure(_ node: TestNode, _ slice: String, _ word: String, _ device: String)
    -> Double
  {
    for line in HostFiles.lines("\(node.cgroup)/\(slice)/io.stat") {
      let fields = line.split(separator: " ")
      guard fields.first.map(String.init) == device else { continue }
      let field = fields.first { $0.hasPrefix(word + "=") }
      return field.flatMap { Double($0.dropFirst(word.count + 1)) } ?? 0
    }
    return 0
  }

  /// What each of `slices` moves a second, over `seconds`, once it is under way.
  private func rates(
    _ node: TestNode, _ slices: [String], _ word: String, over seconds: Double = 6
  ) throws -> [Double] {
    let device = try device(node, slices[0])
    sleep(2)
    let (before, began) = (slices.map { figure(node, $0, word, device) }, MonotonicTime.now)
    usleep(UInt32(seconds * 1e6))
    let (after, ended) = (slices.map { figure(node, $0, word, device) }, MonotonicTime.now)
    return zip(before, after).map { ($1 - $0) / (ended - began) }
  }

  private static let loads: [(key: String, value: String, word: String, load: String)] = [
    ("io.write.max", "11M", "wbytes", "dd if=/dev/zero of=/big bs=1M count=64 oflag=direct"),
    ("io.read.max", "6M", "rbytes", "dd if=/big of=/dev/null bs=256k iflag=direct"),
    ("io.write.iops.max", "150", "wios", "dd if=/dev/zero of=/big bs=4k count=5000 oflag=direct"),
    ("io.read.iops.max", "250", "rios", "dd if=/big of=/dev/null bs=4k iflag=direct"),
  ]

  @Test(arguments: StorageKind.allCases, 0..<loads.count)
  func aCeilingHolds(_ kind: StorageKind, _ index: Int) throws {
    let (key, value, word, load) = Self.loads[index]
    try withNode(kind.options()) { node in
      try create(node, "web")
      _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=64 conv=fsync 2>/dev/null")
      try node.succeed("set", "web", "\(key)=\(value)")
      let load = try node.start("exec", "web", "--", "sh", "-c", "while :; do \(load); done")
      let rate = try rates(node, ["web"], word)[0]
      load.signal(SIGKILL)
      let bound = word.hasSuffix("bytes") ? Double(value.dropLast())! * megabyte : Double(value)!
      print("\(kind): \(key)=\(value): \(Int(rate)) a second, \(rate / bound) of the bound")
      #expect(abs(rate / bound - 1) < 0.05)
    }
  }

  /// By the clock: what the page cache gives to the disk is so large at a time, 8 MiB and more, that
  /// the device's own count moves in leaps.
  @Test(arguments: StorageKind.allCases) func aCeilingHoldsForBufferedWrites(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      try create(node, "web")
      try node.succeed("set", "web", "io.write.max=4M")
      let began = MonotonicTime.now
      _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=80 conv=fsync 2>/dev/null")
      let seconds = MonotonicTime.now - began
      print("\(kind): io.write.max=4M: 80 MiB and fsync take \(seconds) s, due 20")
      #expect(abs(seconds / 20 - 1) < 0.05)
    }
  }

  /// The reason for bounding the device below the file system and not the disk below that: see
  /// `BlockDevice`.
  @Test(arguments: StorageKind.allCases) func aBoundedSliceHoldsNobodyUp(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      try create(node, "slow")
      try create(node, "web")
      func write() throws -> Double {
        let began = MonotonicTime.now
        _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=40 conv=fsync 2>/dev/null")
        return MonotonicTime.now - began
      }
      let alone = try write()
      try node.succeed("set", "slow", "io.write.max=1M")
      let load = try node.start(
        "exec", "slow", "--", "sh", "-c",
        "while :; do dd if=/dev/zero of=/big bs=1M count=64 conv=fsync,notrunc; done")
      sleep(2)
      let times = try (0..<4).map { _ in try write() }
      load.signal(SIGKILL)
      print("\(kind): 40 MiB take \(alone) s alone, \(times) s beside a slice held at 1 MiB/s")
      #expect(times.sorted()[1] < max(3 * alone, 2))
      try node.succeed("set", "slow", "io.write.max=")
    }
  }

  @Test func withoutIOCostAWeightIsRefused() throws {
    try withNode(StorageKind.quota.options()) { node in
      let result = try node.slicectl(
        "create", "web", "--image", "minimal", "--set", "io.weight=200", "--", "sleep", "1000")
      #expect(result.fails(5, "io.weight", "io.cost", "bfq", "hint: echo '"), "\(result)")
      try node.create("web")
      #expect(try node.slicectl("set", "web", "io.weight=200").fails(5, "io.weight"))
      let doctor = try node.succeed("doctor")
      #expect(doctor.contains("disk weights"))
    }
  }

  @Test(
    .enabled(if: HostFiles.exists("\(Host.cgroupMount ?? "")/io.cost.qos"), "needs io.cost"),
    arguments: StorageKind.allCases)
  func sharesFollowTheWeights(_ kind: StorageKind) throws {
    let load = "dd if=/dev/zero of=/big$1 bs=256k count=64 oflag=direct conv=notrunc"
    try withNode(kind.options()) { node in
      try create(node, "light")
      try create(node, "heavy")
      let device = try device(node, "light")
      let mount = try #require(Host.cgroupMount)
      // A disk that is saturated at 20 MiB/s, whatever this one does.
      let model =
        "ctrl=user model=linear rbps=20971520 rseqiops=400 rrandiops=400 wbps=20971520 wseqiops=400 wrandiops=400"
      try HostFiles.write("\(device) \(model)", to: mount + "/io.cost.model")
      try HostFiles.write(
        "\(device) enable=1 ctrl=user rpct=0 wpct=0 min=100.00 max=100.00",
        to: mount + "/io.cost.qos")
      defer { try? HostFiles.write("\(device) enable=0", to: mount + "/io.cost.qos") }
      for (light, heavy) in [(100, 300), (200, 300)] {
        try node.succeed("set", "light", "io.weight=\(light)")
        try node.succeed("set", "heavy", "io.weight=\(heavy)")
        let writers = try ["light", "heavy"].flatMap { slice in
          try (1...3).map { number in
            try node.start(
              "exec", slice, "--", "sh", "-c", "while :; do \(load); done 2>/dev/null", "sh",
              "\(number)")
          }
        }
        let rates = try rates(node, ["light", "heavy"], "wbytes", over: 8)
        for writer in writers { writer.signal(SIGKILL) }
        let share = rates[0] / (rates[0] + rates[1])
        let due = Double(light) / Double(light + heavy)
        print("\(kind): weights \(light):\(heavy): the lighter has \(share), due \(due)")
        #expect(abs(share - due) < 0.05)
        _ = writers.map { $0.wait(seconds: 5) }
        try node.succeed("restart", "light", "heavy")
      }
    }
  }
}
