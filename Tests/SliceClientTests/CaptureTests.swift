import Glibc
import SliceModel
import Testing

@testable import SliceClient

@Suite struct CaptureTests {
  // MARK: - Filters

  private static let expressions = [
    "ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "host 192.0.2.1", "src host 192.0.2.1",
    "dst host 2001:db8::1", "net 192.0.2.0/28", "src net 10.0.0.0/8", "dst net 2001:db8::/33",
    "port 53", "src port 53", "dst port 80", "tcp port 80", "udp dst port 53",
    "portrange 50-60", "udp portrange 1000-65535", "less 60", "greater 100", "not tcp",
    "tcp or udp", "udp port 53 and not host 192.0.2.1",
    "(tcp or icmp) and (src net 192.0.2.0/24 or dst port 80) and not (less 70)",
    "not (not (udp and (port 53 or port 80)))",
  ]

  /// libpcap's own compiler is the oracle: both programs must say the same of many packets.
  @Test(
    .enabled(if: access("/usr/bin/tcpdump", X_OK) == 0, "needs tcpdump"), arguments: expressions)
  func filtersSayWhatLibpcapSays(_ text: String) throws {
    let own = try CaptureProgram(CaptureExpression(parsing: text), snapshot: 65536).instructions
    let theirs = try Self.compiledByTcpdump(text)
    var generator = Xorshift(state: 88_172_645_463_325_252)
    var matched = 0
    for _ in 0..<4000 {
      let packet = Self.packet(&generator)
      let (mine, expected) = (Self.run(own, packet), Self.run(theirs, packet))
      #expect((mine > 0) == (expected > 0), "\(text): \(packet)")
      if expected > 0 { matched += 1 }
    }
    // Not an agreement on nothing.
    #expect(matched > 0 && matched < 4000, "\(text): \(matched)")
  }

  @Test(arguments: [
    "tcp udp", "host", "host x", "host 192.0.2.0/24", "net 192.0.2.1/24", "port", "port x",
    "port 65536", "portrange 60-50", "portrange 5", "(tcp", "tcp)", "and", "not", "less x", "src",
    "tcp host 192.0.2.1", "icmp port 5", "port -1", "port 053",
    String(repeating: "(", count: 5000), String(repeating: "not ", count: 5000) + "tcp",
  ])
  func whatIsNoFilter(_ text: String) {
    #expect(throws: SliceError.self) { try CaptureExpression(parsing: text) }
  }

  @Test func aLongFilterIsRefused() throws {
    let text = (1...1000).map { "host 192.0.2.\($0 % 250)" }.joined(separator: " or ")
    let expression = try CaptureExpression(parsing: text)
    #expect(throws: SliceError.self) { try CaptureProgram(expression, snapshot: 100) }
    // One whose jumps are longer than a conditional one can be.
    let long = (1...60).map { "host 192.0.2.\($0)" }.joined(separator: " or ")
    let program = try CaptureProgram(CaptureExpression(parsing: long), snapshot: 77).instructions
    var packet = [UInt8](repeating: 0, count: 60)
    packet[12] = 8
    packet.replaceSubrange(30..<34, with: [192, 0, 2, 60])
    #expect(Self.run(program, packet) == 77)
    packet[33] = 61
    #expect(Self.run(program, packet) == 0)
  }

  /// An interpreter of the part of classic BPF that compilers of filters use.
  private static func run(_ program: [FilterInstruction], _ packet: [UInt8]) -> UInt32 {
    var (a, x) = (UInt32(0), UInt32(0))
    var memory = [UInt32](repeating: 0, count: 16)
    var place = 0
    func load(_ offset: Int, _ size: Int) -> UInt32? {
      offset >= 0 && offset + size <= packet.count
        ? packet[offset..<offset + size].reduce(0) { $0 << 8 | UInt32($1) } : nil
    }
    while true {
      let one = program[place]
      place += 1
      let k = one.operand
      func jump(_ condition: Bool) { place += Int(condition ? one.ifTrue : one.ifFalse) }
      var loaded: UInt32? = 0
      switch one.code {
      case 0x20: loaded = load(Int(k), 4); a = loaded ?? 0
      case 0x28: loaded = load(Int(k), 2); a = loaded ?? 0
      case 0x30: loaded = load(Int(k), 1); a = loaded ?? 0
      case 0x40: loaded = load(Int(x) + Int(k), 4); a = loaded ?? 0
      case 0x48: loaded = load(Int(x) + Int(k), 2); a = loaded ?? 0
      case 0x50: loaded = load(Int(x) + Int(k), 1); a = loaded ?? 0
      case 0x80: a = UInt32(packet.count)
      case 0x00: a = k
      case 0x01: x = k
      case 0x60: a = memory[Int(k)]
      case 0x61: x = memory[Int(k)]
      case 0x02: memory[Int(k)] = a
      case 0x03: memory[Int(k)] = x
      case 0xB1: loaded = load(Int(k), 1); x = 4 * ((loaded ?? 0) & 0xF)
      case 0x54: a &= k
      case 0x04: a &+= k
      case 0x14: a &-= k
      case 0x07: x = a
      case 0x87: a = x
      case 0x05: place += Int(k)
      case 0x15: jump(a == k)
      case 0x25: jump(a > k)
      case 0x35: jump(a >= k)
      case 0x45: jump(a & k != 0)
      case 0x06: return k
      default:
        Issue.record("instruction \(one.code)")
        return 0
      }
      // As the kernel: what reads beyond the packet refuses it.
      if loaded == nil { return 0 }
    }
  }

  private static func compiledByTcpdump(_ text: String) throws -> [FilterInstruction] {
    let pipe = popen("/usr/bin/tcpdump -y EN10MB -ddd '\(text)' 2>/dev/null", "r")
    defer { if let pipe { pclose(pipe) } }
    var process = ""
    var line = [CChar](repeating: 0, count: 256)
    while let pipe, fgets(&line, Int32(line.count), pipe) != nil {
      process += String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    try #require(!process.isEmpty)
    return process.split(separator: "\n").dropFirst().map { line in
      let numbers = line.split(separator: " ").map { UInt32($0)! }
      return FilterInstruction(
        UInt16(numbers[0]), ifTrue: UInt8(numbers[1]), ifFalse: UInt8(numbers[2]),
        operand: numbers[3])
    }
  }

  private struct Xorshift: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  /// A packet of which much is as in the expressions. Without IPv6 extension headers, which libpcap
  /// follows and this doesn't.
  private static func packet(_ generator: inout Xorshift) -> [UInt8] {
    func pick<Element>(_ list: [Element]) -> Element { list.randomElement(using: &generator)! }
    let four: [[UInt8]] = [[192, 0, 2, 1], [192, 0, 2, 17], [10, 9, 8, 7], [198, 51, 100, 1]]
    let six: [[UInt8]] = [
      [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1],
      [0x20, 0x01, 0x0D, 0xB8, 0x80] + [UInt8](repeating: 0, count: 10) + [1],
    ]
    let ports: [[UInt8]] = [[0, 53], [0, 80], [0, 55], [0x20, 0], [3, 0xE8]]
    let body = pick(ports) + pick(ports) + [UInt8](repeating: 0, count: pick([4, 20, 60]))
    let ethernet = [UInt8](repeating: 2, count: 12)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: return ethernet + [8, 6] + [UInt8](repeating: 0, count: 28)
    case 1...6:
      let options = pick([0, 0, 8])
      let fragment: [UInt8] = pick([[0, 0], [0, 0], [0x20, 0], [0, 5]])
      var header: [UInt8] = [0x45 + UInt8(options / 4), 0, 0, 0, 0, 0]
      header += fragment + [64, pick([1, 6, 17, 47]), 0, 0]
      header += pick(four) + pick(four) + [UInt8](repeating: 1, count: options)
      return ethernet + [8, 0] + header + body
    default:
      let header: [UInt8] = [0x60, 0, 0, 0, 0, 0, pick([6, 17, 58, 47]), 64]
      return ethernet + [0x86, 0xDD] + header + pick(six) + pick(six) + body
    }
  }

  // MARK: - What comes

  private static func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
    func word(_ value: UInt32) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) }
    }
    let length = word(UInt32(body.count + 12))
    return word(type) + length + body + length
  }

  @Test func blocksComeInPieces() throws {
    let packet = [UInt8](repeating: 7, count: 5)
    let body: [UInt8] =
      [0, 0, 0, 0] + [1, 0, 0, 0] + [2, 0, 0, 0] + [5, 0, 0, 0] + [9, 0, 0, 0] + packet + [0, 0, 0]
      + [2, 0, 4, 0, 2, 0, 0, 0] + [0, 0, 0, 0]
    let bytes = Self.block(6, body)
    var reader = PcapngReader()
    var blocks: [PcapngReader.Block] = []
    for byte in bytes {
      reader.append([byte])
      blocks += try reader.takeBlocks().map(\.block)
    }
    guard case .packet(let found) = try #require(blocks.first), blocks.count == 1 else {
      Issue.record("\(blocks)")
      return
    }
    #expect(Array(found.bytes) == packet && found.length == 9 && found.isOutgoing)
    #expect(found.time == 1 << 32 | 2)
  }

  @Test(arguments: [
    Self.block(6, [0, 0, 0, 0]),
    Self.block(
      6, [UInt8](repeating: 0, count: 12) + [0xFF, 0xFF, 0, 0] + [UInt8](repeating: 0, count: 8)),
    [6, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [6, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
    [6, 0, 0, 0, 12, 0, 0, 0, 16, 0, 0, 0],
  ])
  func whatIsDamagedEnds(_ bytes: [UInt8]) {
    var reader = PcapngReader()
    reader.append(bytes[...])
    #expect(throws: SliceError.self) { try reader.takeBlocks() }
  }

  /// Any bytes make a line of one line, without anything that a terminal obeys.
  @Test func linesAreHarmless() {
    var generator = Xorshift(state: 42)
    for _ in 0..<5000 {
      var bytes = Self.packet(&generator)
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = .random(
          in: 0...255, using: &generator)
      }
      bytes.removeLast(Int.random(in: 0...bytes.count, using: &generator))
      let text = PacketLine.text(
        of: .init(time: 1, isOutgoing: true, bytes: bytes[...], length: UInt32(bytes.count)))
      #expect(text.utf8.allSatisfy { (0x20..<0x7F).contains($0) }, "\(text)")
    }
  }
}
