// Keys whose values can be added up over slices: what a node promises and what an owner is bound by.

extension Key {
  /// What a slice counts for that does not set the key.
  public enum Sum: Sendable, Hashable {
    /// The kernel's default, 100.
    case weight
    /// Nothing.
    case floor
    /// No limit, more than any bound.
    case ceiling
  }

  /// Nil: values of this key cannot be added up.
  public var sum: Sum? {
    switch self {
    case .cpuWeight, .ioWeight, .netWeight: .weight
    case .memoryMin, .memoryLow, .netMin: .floor
    case .cpuMax, .memoryHigh, .memoryMax, .memorySwapMax, .pidsMax, .ioReadMax, .ioWriteMax,
      .ioReadIopsMax, .ioWriteIopsMax, .diskMax, .diskFilesMax, .netMax, .netInMax:
      .ceiling
    case .cpuSet, .netMode, .netAllow, .netPublish, .netPorts, .rawAllow, .lease, .grantObserve,
      .grantNest, .grantNetAdmin, .seccompProfile, .seccompRefuse, .seccompAllow, .seccompSockets,
      .seccompLog:
      nil
    }
  }

  /// An amount as `set` takes it. Bytes are rounded down to whole MiB where that is a good
  /// approximation, so that what is said to be left does fit.
  func text(_ amount: UInt64) -> String {
    switch form {
    case .bytes:
      ByteSize(bytes: amount >= 64 << 20 ? (amount >> 20) << 20 : amount).description
    case .cpu: CPUAmount(millicores: amount).description
    case .rate: BitRate(bitsPerSecond: amount).description
    case .count, .processors, .time, .word, .list, .ports, .flag: "\(amount)"
    }
  }

  /// The smallest amount that `set` takes.
  var least: UInt64 {
    switch form {
    case .count(let range), .bytes(let range), .rate(let range), .cpu(let range): range.lowerBound
    case .processors, .time, .word, .list, .ports, .flag: 0
    }
  }

  /// The form of a sum over many slices, which may be larger than what one slice can have.
  public var sumForm: Form {
    switch form {
    case .count: .count(0...UInt64(Int64.max))
    case .bytes: .bytes(0...UInt64(1) << 62)
    case .cpu: .cpu(0...UInt64(1) << 32)
    case .rate: .rate(0...UInt64(Int64.max))
    case .processors, .time, .word, .list, .ports, .flag: form
    }
  }
}

extension Settings.Value {
  /// In bytes, bits a second, thousandths of a processor, or a plain number; nil for other forms.
  public var amount: UInt64? {
    switch self {
    case .count(let value): value
    case .bytes(let value): value.bytes
    case .rate(let value): value.bitsPerSecond
    case .cpu(let value): value.millicores
    case .processors, .time, .word, .list, .ports, .flag: nil
    }
  }
}

extension Settings {
  /// What a slice with these settings counts for in the sum over a key; `UInt64.max`: no limit.
  func amount(_ key: Key) -> UInt64 {
    if let amount = self[key]?.amount { return amount }
    switch key.sum {
    case .weight: return 100
    case .floor, nil: return 0
    case .ceiling: return .max
    }
  }

  public var lease: TimeSpan? {
    if case .time(let span) = self[.lease] { span } else { nil }
  }

  /// Every grant that is asked for: `observe`, `nest`, `net-admin`, and the items of raw.allow.
  var grants: [String] {
    var grants: [String] = []
    for (key, name) in Grants.flags where self[key] == .flag(true) { grants.append(name) }
    if case .list(let items) = self[.rawAllow] { grants += items }
    return grants
  }
}

/// What can be granted beyond a slice's own box.
public enum Grants {
  static let flags: [(key: Key, name: String)] = [
    (.grantObserve, "observe"), (.grantNest, "nest"), (.grantNetAdmin, "net-admin"),
  ]

  /// The words of `grants` in node.toml; those of raw.allow without what follows the colon.
  public static let kinds =
    flags.map(\.name) + [
      "icmp", "icmp6", "udp", "tcp", "proto", "ethertype", "sniff", "tun", "xdp",
    ]

  static func kind(_ grant: String) -> String { String(grant.prefix { $0 != ":" }) }
}
