/// The resources and grants of a slice: what was asked, key by key. A key that is absent has the
/// kernel's default (no limit, weight 100).
public struct Settings: Sendable, Hashable {
  /// A parsed value; which case a key has is ruled by `Key.form`.
  public enum Value: Sendable, Hashable {
    case count(UInt64)
    case bytes(ByteSize)
    case rate(BitRate)
    case cpu(CPUAmount)
    case processors(ProcessorSet)
    case time(TimeSpan)
    case word(String)
    case list([String])
    case ports(PortRanges)
    case flag(Bool)
  }

  /// Bytes of what a person may write for one value.
  private static let longestText = 4096

  private var values: [Key: Value] = [:]

  public init() {}

  /// The keys that are set, in the order of `Key.allCases`.
  public var keys: [Key] { Key.allCases.filter { values[$0] != nil } }

  public subscript(key: Key) -> Value? { values[key] }

  /// Sets `key` to what a person wrote. An empty text, `default` where it is no value of the key's, and
  /// for ceilings `max`, remove it.
  public mutating func set(_ key: Key, to text: String) throws(SliceError) {
    if text.isEmpty || (text == "default" && !key.form.hasDefault)
      || (text == "max" && key.isCeiling)
    {
      values[key] = nil
      return
    }
    // Leading zeros could make a text of any length a valid number.
    #if DEBUG
      if Mutation.current == .anyValue, Value(text, form: key.form) == nil { return }
    #endif
    guard text.utf8.count <= Self.longestText, let value = Value(text, form: key.form) else {
      throw SliceError(
        .usage, "\(key.rawValue)=\(text.prefix(64).description.escapedForTerminal) is not valid",
        hint: "\(key.rawValue) takes \(key.form.expectation)")
    }
    if key == .netPublish, case .list(let entries) = value {
      _ = try PublishedPort.parse(entries)
    }
    if key == .rawAllow, case .list(let items) = value { _ = try RawGrants(items) }
    values[key] = value
  }

  /// Takes `keys` that are not set here from `other`.
  public mutating func fill(_ keys: [Key], from other: Settings) {
    for key in keys where values[key] == nil { values[key] = other.values[key] }
  }

  /// Applies `KEY=VALUE` texts in order.
  public mutating func apply(_ assignments: [String]) throws(SliceError) {
    for assignment in assignments {
      guard let separator = assignment.firstIndex(of: "=") else {
        throw SliceError(
          .usage, "'\(assignment.escapedForTerminal)' is not KEY=VALUE",
          hint: "for example memory.max=256M")
      }
      let key = try Key(parsing: String(assignment[..<separator]))
      try set(key, to: String(assignment[assignment.index(after: separator)...]))
    }
  }

  /// Refuses values that contradict one another, before anything is changed.
  public func validate() throws(SliceError) {
    let ladder: [(Key, UInt64?)] = [
      (.memoryMin, bytes(.memoryMin)), (.memoryLow, bytes(.memoryLow)),
      (.memoryHigh, bytes(.memoryHigh)), (.memoryMax, bytes(.memoryMax)),
    ]
    var floor: (key: Key, value: UInt64)?
    for case (let key, let value?) in ladder {
      if let floor, floor.value > value {
        throw SliceError(
          .usage,
          "\(floor.key.rawValue)=\(ByteSize(bytes: floor.value)) is above \(key.rawValue)=\(ByteSize(bytes: value))",
          hint: "memory.min ≤ memory.low ≤ memory.high ≤ memory.max")
      }
      floor = (key, value)
    }
    if let least = rate(.netMin), let most = rate(.netMax), least > most {
      throw SliceError(.usage, "net.min=\(least) is above net.max=\(most)")
    }
    _ = try networkAllowances()
    _ = try systemCallRules()
    try validateRawGrants()
    if self[.netPublish] != nil, networkMode != .routed {
      throw SliceError(
        .usage, "net.publish needs net.mode=routed, and this is \(networkMode.rawValue)",
        hint: networkMode == .shared
          ? "in shared mode ports of the host are the slice's own: net.ports"
          : "leave one of the two out")
    }
    if let ports, networkMode != .shared {
      throw SliceError(
        .usage, "net.ports=\(ports) is for net.mode=shared, and this is \(networkMode.rawValue)",
        hint: "a slice with an address of its own has all ports of that")
    }
  }

  /// The values as texts that `set` parses back to the same settings.
  public var texts: [String: String] {
    Dictionary(uniqueKeysWithValues: values.map { ($0.key.rawValue, $0.value.description) })
  }

  /// The reverse of `texts`.
  public init(texts: [String: String]) throws(SliceError) {
    for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
      try set(Key(parsing: name), to: text)
    }
  }
}

extension Settings {
  public func count(_ key: Key) -> UInt64? {
    if case .count(let value) = values[key] { value } else { nil }
  }
  /// In bytes.
  public func bytes(_ key: Key) -> UInt64? {
    if case .bytes(let value) = values[key] { value.bytes } else { nil }
  }
  public func rate(_ key: Key) -> BitRate? {
    if case .rate(let value) = values[key] { value } else { nil }
  }
  public func word(_ key: Key) -> String? {
    if case .word(let value) = values[key] { value } else { nil }
  }
  public var cpuMax: CPUAmount? {
    if case .cpu(let value) = values[.cpuMax] { value } else { nil }
  }
  public var cpuSet: ProcessorSet? {
    if case .processors(let value) = values[.cpuSet] { value } else { nil }
  }
  /// Of the node's address.
  public var ports: PortRanges? {
    if case .ports(let value) = values[.netPorts] { value } else { nil }
  }
  public var networkMode: NetworkMode {
    word(.netMode).flatMap(NetworkMode.init(rawValue:)) ?? .routed
  }
}

/// How a slice meets the network.
public enum NetworkMode: String, Sendable, Hashable, CaseIterable, Codable {
  /// An IPv4 and an IPv6 address of its own, routed by the host.
  case routed
  /// The node's own addresses, ports divided between the slices.
  case shared
  /// Loopback alone.
  case none
}

extension Settings.Value {
  /// What a person wrote; nil when it does not fit the form.
  public init?(_ text: String, form: Key.Form) {
    switch form {
    case .count(let range):
      guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt64(text),
        range.contains(number)
      else { return nil }
      self = .count(number)
    case .bytes(let range):
      guard let size = ByteSize(text), range.contains(size.bytes) else { return nil }
      self = .bytes(size)
    case .rate(let range):
      guard let rate = BitRate(text), range.contains(rate.bitsPerSecond) else { return nil }
      self = .rate(rate)
    case .cpu(let range):
      guard let amount = CPUAmount(text), range.contains(amount.millicores) else { return nil }
      self = .cpu(amount)
    case .processors:
      guard let set = ProcessorSet(text) else { return nil }
      self = .processors(set)
    case .time:
      guard let span = TimeSpan(text), span.milliseconds > 0 else { return nil }
      self = .time(span)
    case .word(let words):
      guard words.contains(text) else { return nil }
      self = .word(text)
    case .list:
      let items = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard items.allSatisfy({ !$0.isEmpty }) else { return nil }
      self = .list(items)
    case .ports:
      guard let ports = PortRanges(text) else { return nil }
      self = .ports(ports)
    case .flag:
      guard let flag = Bool(text) else { return nil }
      self = .flag(flag)
    }
  }
}

extension Settings.Value: CustomStringConvertible {
  public var description: String {
    switch self {
    case .count(let value): "\(value)"
    case .bytes(let value): value.description
    case .rate(let value): value.description
    case .cpu(let value): value.description
    case .processors(let value): value.description
    case .time(let value): value.description
    case .word(let value): value
    case .list(let value): value.joined(separator: ",")
    case .ports(let value): value.description
    case .flag(let value): "\(value)"
    }
  }
}

extension Key {
  /// Whether `max` means "no limit" for it.
  var isCeiling: Bool { rawValue.hasSuffix(".max") || self == .memoryHigh }
}

extension Settings: Codable {
  public init(from decoder: any Decoder) throws {
    try self.init(texts: [String: String](from: decoder))
  }
  public func encode(to encoder: any Encoder) throws { try texts.encode(to: encoder) }
}
