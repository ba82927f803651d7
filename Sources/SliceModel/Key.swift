/// Every key that `--set`, `slicectl set` and slice.toml take.
///
/// To add a resource: add its case here, its form in `form`, its enforcer in `enforcer`, and a file
/// in SliceKernel or SliceRuntime that makes the kernel hold it. The compiler names every switch.
public enum Key: String, Sendable, Hashable, CaseIterable {
  case cpuWeight = "cpu.weight"
  case cpuMax = "cpu.max"
  case cpuSet = "cpu.set"
  case memoryMin = "memory.min"
  case memoryLow = "memory.low"
  case memoryHigh = "memory.high"
  case memoryMax = "memory.max"
  case memorySwapMax = "memory.swap.max"
  case pidsMax = "pids.max"
  case ioWeight = "io.weight"
  case ioReadMax = "io.read.max"
  case ioWriteMax = "io.write.max"
  case ioReadIopsMax = "io.read.iops.max"
  case ioWriteIopsMax = "io.write.iops.max"
  case diskMax = "disk.max"
  case diskFilesMax = "disk.files.max"
  case netWeight = "net.weight"
  case netMin = "net.min"
  case netMax = "net.max"
  case netInMax = "net.in.max"
  case netMode = "net.mode"
  case netAllow = "net.allow"
  case netPublish = "net.publish"
  case netPorts = "net.ports"
  case rawAllow = "raw.allow"
  case seccompProfile = "seccomp.profile"
  case seccompRefuse = "seccomp.refuse"
  case seccompAllow = "seccomp.allow"
  case seccompSockets = "seccomp.sockets"
  case seccompLog = "seccomp.log"
  case lease
  case grantObserve = "grant.observe"
  case grantNest = "grant.nest"
  case grantNetAdmin = "grant.net-admin"

  /// How a value is written.
  public enum Form: Sendable, Hashable {
    case count(ClosedRange<UInt64>)
    case bytes(ClosedRange<UInt64>)
    case rate(ClosedRange<UInt64>)
    case cpu(ClosedRange<UInt64>)
    case processors
    case time
    case word([String])
    case list
    case ports
    case flag

    /// Whether `default` is one of its words.
    var hasDefault: Bool {
      if case .word(let words) = self { words.contains("default") } else { false }
    }

    /// What a person is told to write.
    public var expectation: String {
      switch self {
      case .count(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
      case .bytes(let range):
        "a size such as 256M, from \(ByteSize(bytes: range.lowerBound)) to \(ByteSize(bytes: range.upperBound))"
      case .rate(let range):
        "a rate in bit/s such as 100M, from \(BitRate(bitsPerSecond: range.lowerBound)) to \(BitRate(bitsPerSecond: range.upperBound))"
      case .cpu: "an amount of processors such as 150% or 1.5, at least 1%"
      case .processors: "a list of processors such as 0-3,8"
      case .time: "a time such as 30s, 12h or 7d"
      case .word(let words): "one of " + words.joined(separator: ", ")
      case .list: "a list separated by commas"
      case .ports:
        "ports and ranges of them such as 20000-20099,443, each once, \(PortRanges.mostRanges) ranges at most"
      case .flag: "true or false"
      }
    }
  }

  /// What in the kernel holds the value.
  public enum Enforcer: Sendable, Hashable {
    /// A cgroup v2 controller of this name.
    case controller(String)
    /// A project quota of the file system that holds the slices' writable layers.
    case quota
    /// The way the slice is built; needs nothing beyond what every slice needs.
    case construction
    /// Queueing on the links to the world, and on the slice's own.
    case shaping
    /// The supervisor, which stops and removes the slice.
    case supervisor
    /// Nothing yet: a request for it is refused as unenforceable.
    case nothing
  }

  public var form: Form {
    switch self {
    case .cpuWeight, .ioWeight, .netWeight: .count(1...10_000)
    // The kernel refuses quotas below 1 ms (cgroup-v2.rst, cpu.max): 1 % of its 100 ms period.
    case .cpuMax: .cpu(10...1_000_000)
    case .cpuSet: .processors
    case .memoryMin, .memoryLow: .bytes(0...UInt64(1) << 62)
    // Below this the slice's own first process cannot start.
    case .memoryHigh, .memoryMax: .bytes(UInt64(1) << 20...UInt64(1) << 62)
    case .memorySwapMax: .bytes(0...UInt64(1) << 62)
    // slice-init and one process of the service at the least; the kernel's PID limit is 2^22.
    case .pidsMax: .count(2...4_194_304)
    case .ioReadMax, .ioWriteMax: .bytes(UInt64(1) << 12...UInt64(1) << 62)
    case .ioReadIopsMax, .ioWriteIopsMax: .count(1...UInt64(UInt32.max))
    case .diskMax: .bytes(UInt64(1) << 20...UInt64(1) << 62)
    case .diskFilesMax: .count(16...UInt64(UInt32.max))
    // A packet of full size takes 12 s at the least rate, and the kernel forgives what a class owes
    // after 60 (HTB's mbuffer).
    case .netMin, .netMax, .netInMax: .rate(1_000...1_000_000_000_000)
    case .netMode: .word(["routed", "shared", "none"])
    case .netAllow, .netPublish, .rawAllow, .seccompRefuse, .seccompAllow, .seccompSockets: .list
    case .seccompProfile: .word(SystemCallRules.Profile.allCases.map(\.rawValue))
    case .netPorts: .ports
    case .lease: .time
    case .seccompLog, .grantObserve, .grantNest, .grantNetAdmin: .flag
    }
  }

  public var enforcer: Enforcer {
    switch self {
    case .cpuWeight, .cpuMax: .controller("cpu")
    case .cpuSet: .controller("cpuset")
    case .memoryMin, .memoryLow, .memoryHigh, .memoryMax, .memorySwapMax: .controller("memory")
    case .pidsMax: .controller("pids")
    case .ioWeight, .ioReadMax, .ioWriteMax, .ioReadIopsMax, .ioWriteIopsMax: .controller("io")
    case .netMode, .netAllow, .netPublish, .netPorts, .rawAllow, .seccompProfile, .seccompRefuse,
      .seccompAllow, .seccompSockets, .seccompLog:
      .construction
    case .lease: .supervisor
    case .diskMax, .diskFilesMax: .quota
    case .netWeight, .netMin, .netMax, .netInMax: .shaping
    case .grantObserve, .grantNest, .grantNetAdmin: .nothing
    }
  }

  /// Whether `set` can change it while the slice runs. A filter that a process is under stays.
  public var isChangeable: Bool {
    switch self {
    case .netMode, .seccompProfile, .seccompRefuse, .seccompAllow, .seccompSockets, .seccompLog:
      false
    default: true
    }
  }

  /// The key as a person typed it, or an error that names the nearest ones.
  public init(parsing text: String) throws(SliceError) {
    guard let key = Key(rawValue: text) else {
      let group = text.prefix { $0 != "." }
      let related = Key.allCases.map(\.rawValue).filter { $0.hasPrefix(group + ".") }
      throw SliceError(
        .usage, "unknown key '\(text.escapedForTerminal)'",
        hint: related.isEmpty
          ? "slice.toml(5) lists the keys"
          : "keys of \(group): " + related.joined(separator: ", "))
    }
    self = key
  }
}
