import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What a slice with raw sockets can neither send nor see. Each kind of packet alone is tested by
/// Tests/BrokerTests and Tests/ClassifierTests; here all that holds them is in place, as in use.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct RawForgeryTests {
  /// Sends each packet of a list fifty times by every way there is, with its number as the payload.
  /// Of each way the first is allowed: the control.
  private static let forger = """
    import struct, sys, time
    from socket import *
    own, other, target = map(inet_aton, sys.argv[1:4])
    mac, gateway = bytes.fromhex(sys.argv[4]), bytes.fromhex("027368000001")
    def checksum(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total & 0xffff) + (total >> 16)
        return ~(total + (total >> 16)) & 0xffff
    def ip(protocol, payload, source=own, fragment=0, options=b"", number=7):
        head = struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload),
                           number, fragment, 64, protocol, 0) + source + target + options
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
    def udp(name, port=20000):
        return struct.pack("!HHHH", port, 9, 8 + len(name), 0) + name
    def echo(name): return b"\\x08\\0" + struct.pack("!HHH", checksum(b"\\x08\\0\\0\\0\\0\\7\\0\\1" + name), 7, 1) + name
    forged = {
        b"good-udp": ip(17, udp(b"good-udp")), b"good-echo!": ip(1, echo(b"good-echo!")),
        b"bad-source": ip(17, udp(b"bad-source"), source=other),
        b"bad-port": ip(17, udp(b"bad-port", 30000)),
        b"bad-tcp!": ip(6, struct.pack("!HHIIBBHHH", 20000, 80, 1, 0, 0x50, 2, 100, 0, 0) + b"bad-tcp!"),
        b"bad-gre!": ip(47, bytes(4) + b"bad-gre!"), b"bad-ospf": ip(89, bytes(24) + b"bad-ospf"),
        b"bad-part": ip(17, udp(b"bad-part", 30000), fragment=0x2000),
        b"bad-rest": ip(17, b"bad-rest", fragment=1), b"bad-opts": ip(17, udp(b"bad-opts"), options=b"\\x83\\7\\4" + other + b"\\0"),
    }
    def ethernet(packet, source=mac, kind=0x0800): return gateway + source + struct.pack("!H", kind) + packet
    frames = {name: ethernet(packet) for name, packet in forged.items()}
    frames[b"bad-macs"] = ethernet(ip(17, udp(b"bad-macs")), source=gateway)
    frames[b"bad-type"] = ethernet(b"bad-type" * 8, kind=0x88b5)
    frames[b"bad-vlan"] = ethernet(struct.pack("!HH", 1, 0x0800) + ip(17, udp(b"bad-vlan")), kind=0x8100)
    raw, packet, cooked = socket(AF_INET, SOCK_RAW, 255), socket(AF_PACKET, SOCK_RAW, 0), socket(AF_PACKET, SOCK_DGRAM, 0)
    packet.bind(("eth0", 0x0800)); cooked.bind(("eth0", 0x0800))
    def attempt(send, *arguments):
        try: send(*arguments)
        except OSError: pass
    for _ in range(50):
        for name, one in frames.items(): attempt(packet.send, one)
        for name, one in forged.items():
            attempt(raw.sendto, one.replace(name[:4], b"raw-" if name[:4] == b"bad-" else b"rawg"), (inet_ntoa(target), 0))
            attempt(cooked.sendto, one.replace(name[:4], b"dgm-" if name[:4] == b"bad-" else b"dgmg"), ("eth0", 0x0800, 0, 0, gateway))
        time.sleep(0.005)
    for name, value in ((b"\\0", 15), (b"\\0", 18), (b"\\0", 20)):
        try: packet.setsockopt(263, value, struct.pack("i", 1)); print("option", value)
        except OSError as error: pass
    print("sent")
    """

  /// Prints the names that arrive at an interface, each once, and `ready` first.
  private static let witness = """
    import re, sys
    from socket import *
    tap = socket(AF_PACKET, SOCK_RAW, htons(3))
    tap.bind((sys.argv[1], 0))
    print("ready", flush=True)
    seen = set()
    while True:
        for name in re.findall(rb"(?:good|rawg|dgmg|bad-|raw-|dgm-)[a-z!-]{4,6}", tap.recv(65536)):
            if name not in seen: seen.add(name); print(name.decode(), flush=True)
    """

  @Test func whatIsForgedDoesNotLeave() throws {
    try withSites { node, sites in
      try node.createRaw("a", "icmp,udp:20000-20010,sniff")
      try node.createRaw("b", nil)
      let (own, other) = (try node.address("a"), try node.address("b"))
      let witnesses = [
        try sites.start(.peer, "python3", "-c", Self.witness, "eth0"),
        try node.host.start(["python3", "-c", Self.witness, "up0"]),
      ]
      defer { witnesses.forEach { $0.signal(SIGKILL) } }
      #expect(eventually { witnesses.allSatisfy { $0.output.contains("ready") } })
      let mac = try node.execute("a", "cat", "/sys/class/net/eth0/address")
        .filter { $0 != ":" }
      let sent = try node.slicectl(
        "exec", "a", "--", "python3", "-c", Self.forger, own, other, Sites.peer4, mac)
      #expect(sent.status == 0 && sent.output == "sent\n", "\(sent)")
      usleep(500_000)
      for witness in witnesses {
        let names = Set(witness.output.split(separator: "\n")).subtracting(["ready"])
        let good: Set<Substring> = [
          "good-udp", "good-echo!", "rawg-udp", "rawg-echo!", "dgmg-udp", "dgmg-echo!",
        ]
        #expect(good.isSubset(of: names), "the control: \(names)")
        #expect(names.subtracting(good).isEmpty, "forged: \(names.subtracting(good))")
      }
    }
  }

  /// Neighbours and the host talk at full rate; of that the slice sees its own alone. With
  /// SLICES_ATTACK_SECONDS so long, and among ten.
  @Test(.timeLimit(.minutes(60))) func whatIsOthersIsNotSeen() throws {
    let asked = getenv("SLICES_ATTACK_SECONDS").flatMap { Int(String(cString: $0)) }
    let (seconds, count) = (asked ?? 3, asked == nil ? 3 : 10)
    try withNode { node in
      try node.createRaw("a", "sniff")
      let neighbours = (0..<count).map { "n\($0)" }
      for name in neighbours { try node.createRaw(name, nil) }
      let own = try node.address("a")
      let sniffer = try node.start(
        "exec", "a", "--", "python3", "-uc", Self.sniffer, own, "\(seconds)")
      #expect(eventually(within: 20) { sniffer.output.contains("ready") })
      let addresses = try neighbours.map { try node.address($0) }
      var talkers = [try node.host.start(["ping", "-q", "-i", "0.2", own])]
      defer { talkers.forEach { $0.signal(SIGKILL) } }
      for (place, name) in neighbours.enumerated() {
        talkers.append(
          try node.start(
            "exec", name, "--", "python3", "-c", Self.flood, addresses[(place + 1) % count],
            "172.31.128.1"))
        talkers.append(try node.host.start(["ping", "-q", "-f", addresses[place]]))
      }
      let result = sniffer.wait(seconds: Double(seconds) + 30)
      let sent = try neighbours.map { try node.sentPackets($0) }
      talkers.forEach { $0.signal(SIGKILL) }
      let words = result.output.split(whereSeparator: \.isWhitespace)
      func number(_ word: Substring) -> Int? {
        words.firstIndex(of: word).flatMap { Int(words[$0 + 1]) }
      }
      print("\(seconds) s beside \(count) that sent \(sent): \(result.output)")
      #expect(number("seen") ?? 0 >= seconds * 2, "its own: \(result)")
      #expect(number("foreign") == 0, "\(result)")
      #expect(number("dropped") == 0, "what it had no time for could have been others': \(result)")
      #expect(sent.allSatisfy { $0 > 1000 }, "the control: \(sent)")
    }
  }

  /// Counts what it sees, and of that what is neither to nor from an address.
  private static let sniffer = """
    import struct, sys, time
    from socket import *
    own = inet_aton(sys.argv[1])
    tap = socket(AF_PACKET, SOCK_RAW, htons(3)); tap.settimeout(0.5)
    print("ready")
    seen, foreign, end = 0, 0, time.monotonic() + int(sys.argv[2])
    while time.monotonic() < end:
        try: frame = tap.recv(2000)
        except timeout: continue
        seen += 1
        foreign += frame[12:14] == b"\\x08\\0" and own not in (frame[26:30], frame[30:34])
    PACKET_STATISTICS = 6
    dropped = struct.unpack("II", tap.getsockopt(263, PACKET_STATISTICS, 8))[1]
    print("seen", seen, "foreign", foreign, "dropped", dropped)
    """

  /// Sends to these addresses in turn, as fast as it goes.
  private static let flood = """
    import itertools, sys
    from socket import *
    flood = socket(AF_INET, SOCK_DGRAM)
    for place in itertools.cycle(sys.argv[1:]):
        try: flood.sendto(b"x" * 100, (place, 5000))
        except OSError: pass
    """
}

extension TestNode {
  /// What a slice has sent by its link.
  fileprivate func sentPackets(_ slice: String) throws -> Int64 {
    try json("shares", slice).array?.first?["net"]["sentPackets"].integer ?? 0
  }

  fileprivate func address(_ slice: String) throws -> String {
    guard let text = try json("inspect", slice)["network"]["ipv4"].string else {
      throw HarnessError("\(slice) has no address")
    }
    return text
  }
}
