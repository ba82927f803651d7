import SliceModel

/// Which packets to capture, as pcap-filter(7) writes it, as far as it goes here: `ip`, `ip6`, `arp`,
/// `tcp`, `udp`, `icmp`, `icmp6`, `[src|dst] host A`, `[src|dst] net N`, `[tcp|udp] [src|dst] port P`,
/// `[tcp|udp] [src|dst] portrange P-Q`, `less N`, `greater N`, `and`, `or`, `not`, parentheses.
public indirect enum CaptureExpression: Sendable, Hashable {
  case test(Test)
  case not(CaptureExpression)
  case and(CaptureExpression, CaptureExpression)
  case or(CaptureExpression, CaptureExpression)

  public enum Side: Sendable, Hashable { case source, destination, either }

  public enum Test: Sendable, Hashable {
    /// An Ethernet type.
    case type(UInt16)
    /// Numbers of the protocol in IPv4 and IPv6; nil: not in that.
    case transport(ipv4: UInt8?, ipv6: UInt8?)
    case network(Side, AddressNetwork)
    case ports(Side, ClosedRange<UInt16>, transport: Transport?)
    /// Bytes of the packet, with its Ethernet header.
    case length(ClosedRange<UInt32>)
  }

  public init(parsing text: String) throws(SliceError) {
    var parser = Parser(text)
    self = try parser.whole()
  }
}

private struct Parser {
  private var words: ArraySlice<String>
  /// Of parentheses and `not`, so that no text exhausts the stack.
  private var depth = 0
  private static let mostDepth = 100

  init(_ text: String) {
    var words: [String] = []
    var word = ""
    func end() {
      if !word.isEmpty { words.append(word) }
      word = ""
    }
    for character in text {
      switch character {
      case " ", "\t", "\n": end()
      case "(", ")", "!":
        end()
        words.append(String(character))
      default: word.append(character)
      }
    }
    end()
    self.words = words[...]
  }

  mutating func whole() throws(SliceError) -> CaptureExpression {
    let expression = try alternatives()
    if let rest = words.first { throw Self.unexpected(rest) }
    return expression
  }

  private static func unexpected(_ word: String?) -> SliceError {
    SliceError(
      .usage,
      word.map { "filter: '\($0.escapedForTerminal)' is not expected there" }
        ?? "filter: something is missing at the end",
      hint: "such as: 'udp port 53', 'host 192.0.2.1 and not tcp'; slicectl(1) lists the words")
  }

  private mutating func take(_ expected: String...) -> Bool {
    guard let word = words.first, expected.contains(word) else { return false }
    words.removeFirst()
    return true
  }

  private mutating func next() throws(SliceError) -> String {
    guard let word = words.popFirst() else { throw Self.unexpected(nil) }
    return word
  }

  private mutating func alternatives() throws(SliceError) -> CaptureExpression {
    var left = try conjunction()
    while take("or", "||") { left = .or(left, try conjunction()) }
    return left
  }

  private mutating func conjunction() throws(SliceError) -> CaptureExpression {
    var left = try factor()
    while take("and", "&&") { left = .and(left, try factor()) }
    return left
  }

  private mutating func factor() throws(SliceError) -> CaptureExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth < Self.mostDepth else {
      throw SliceError(.usage, "filter: more than \(Self.mostDepth) levels")
    }
    if take("not", "!") { return .not(try factor()) }
    guard take("(") else { return .test(try test()) }
    let inner = try alternatives()
    guard take(")") else { throw Self.unexpected(words.first) }
    return inner
  }

  private mutating func test() throws(SliceError) -> CaptureExpression.Test {
    let word = try next()
    switch word {
    case "ip": return .type(0x0800)
    case "ip6": return .type(0x86DD)
    case "arp": return .type(0x0806)
    case "icmp": return .transport(ipv4: 1, ipv6: nil)
    case "icmp6": return .transport(ipv4: nil, ipv6: 58)
    case "tcp", "udp":
      let transport = Transport(rawValue: word)!
      guard ["src", "dst", "port", "portrange"].contains(words.first ?? "") else {
        return .transport(ipv4: transport.number, ipv6: transport.number)
      }
      return try qualified(side(), transport)
    case "src", "dst", "host", "net", "port", "portrange":
      words.insert(word, at: words.startIndex)
      return try qualified(side(), nil)
    case "less": return .length(0...(try number()))
    case "greater": return .length((try number())...UInt32.max)
    default: throw Self.unexpected(word)
    }
  }

  private mutating func side() -> CaptureExpression.Side {
    take("src") ? .source : take("dst") ? .destination : .either
  }

  private mutating func qualified(
    _ side: CaptureExpression.Side, _ transport: Transport?
  ) throws(SliceError) -> CaptureExpression.Test {
    let kind = try next()
    switch (kind, transport) {
    case ("host", nil), ("net", nil):
      let text = try next()
      guard let network = AddressNetwork(text), kind == "net" || !text.contains("/") else {
        throw SliceError(
          .usage,
          "filter: '\(text.escapedForTerminal)' is not \(kind == "net" ? "a network" : "an address")",
          hint: "names are not looked up; a network has no host bits, such as 192.0.2.0/24")
      }
      return .network(side, network)
    case ("port", _):
      let port = try port(next())
      return .ports(side, port...port, transport: transport)
    case ("portrange", _):
      let text = try next()
      let ends = text.split(separator: "-", omittingEmptySubsequences: false).map(String.init)
      guard ends.count == 2 else { throw Self.unexpected(text) }
      let (first, last) = (try port(ends[0]), try port(ends[1]))
      guard first <= last else { throw Self.unexpected(text) }
      return .ports(side, first...last, transport: transport)
    default: throw Self.unexpected(kind)
    }
  }

  private func port(_ text: String) throws(SliceError) -> UInt16 {
    guard let port = UInt16(text), "\(port)" == text else { throw Self.unexpected(text) }
    return port
  }

  private mutating func number() throws(SliceError) -> UInt32 {
    let text = try next()
    guard let number = UInt32(text), "\(number)" == text else { throw Self.unexpected(text) }
    return number
  }
}
