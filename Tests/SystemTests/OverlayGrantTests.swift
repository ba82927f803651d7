import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What members of an overlay that have raw sockets send into it, and what they don't.
@Suite(.serialized, .requiresSlices, .requiresProgram("/usr/bin/python3"))
struct OverlayGrantTests {
  private static let subnet = "10.64.0.0/16"

  // MARK: - OSPF

  /// BIRD as Debian has it, with its usual kind of link: hellos go to a group, the rest to neighbours. What
  /// needs a capability is left to others: 7 is a priority of CAP_NET_ADMIN's (socket(7)).
  private static func router(_ address: String, route: String) -> String {
    """
    router id \(address);
    log stderr all;
    protocol device { }
    protocol static { ipv4; route \(route) blackhole; }
    protocol ospf v2 {
      ipv4 { import all; export all; };
      area 0 { interface "mesh" {
        hello 1; dead count 4; wait 2; retransmit 2; tx priority 6;
      }; };
    }
    """
  }

  /// Prints the protocol of each packet that its link brings to a slice, once, and `ready` first.
  private static let protocols = """
    from socket import *
    tap = socket(AF_PACKET, SOCK_DGRAM, htons(0x800))
    tap.bind(("mesh", 0x800))
    print("ready", flush=True)
    seen = set()
    while True:
        packet, sender = tap.recvfrom(65536)
        if sender[2] != PACKET_OUTGOING and packet[9] not in seen:
            seen.add(packet[9]); print("protocol", packet[9], flush=True)
    """

  @Test(.requiresProgram("/usr/sbin/bird")) func routersFindEachOther() throws {
    try withNode { node in
      try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet)
      // Both ways to become a member: before the start and while it runs.
      for (name, grants) in [("a", "proto:89"), ("b", "proto:89"), ("c", "icmp")] {
        try node.createRaw(name, grants)
        try node.succeed("overlay", "join", "mesh", name)
      }
      try node.succeed("restart", "a")
      let outsider = try node.host.start([
        "nsenter", "-t", try node.pid("c"), "-n", "python3", "-c", Self.protocols,
      ])
      defer { outsider.signal(SIGKILL) }
      #expect(eventually { outsider.output.contains("ready") })
      var routers: [String: BackgroundCommand] = [:]
      defer { routers.values.forEach { $0.signal(SIGKILL) } }
      for (number, name) in ["a", "b", "c"].enumerated() {
        routers[name] = try node.start(
          "exec", name, "-i", "--", "sh", "-c",
          "cat >/tmp/bird.conf && exec bird -f -c /tmp/bird.conf -s /tmp/bird.ctl",
          input: Self.router("10.64.0.\(number + 2)", route: "192.0.2.\(16 * number)/28"))
      }
      func ask(_ name: String, _ question: String) throws -> String {
        try node.slicectl("exec", name, "--", "birdc", "-s", "/tmp/bird.ctl", question).output
      }
      let isThere = try eventually(within: 30) {
        try ask("a", "show route").contains("192.0.2.16/28")
          && ask("b", "show route").contains("192.0.2.0/28")
      }
      #expect(isThere, "\(routers.mapValues(\.errors))")
      let neighbours = try ask("a", "show ospf neighbors")
      #expect(neighbours.contains("10.64.0.3") && neighbours.contains("Full"), "\(neighbours)")
      #expect(!neighbours.contains("10.64.0.4"), "\(neighbours)")
      // Without the grant: the error of who has no privileges, and an event; and it hears nothing of it.
      #expect(routers["c"]?.errors.contains("Operation not permitted") == true)
      let refused = try node.events("raw-refused", of: "c").map { $0["call"].string }
      #expect(refused.contains("socket(AF_INET, SOCK_RAW, 89)"), "\(refused)")
      #expect(try node.ping("10.64.0.4", from: "b"), "the control: others' packets come to it")
      #expect(eventually { outsider.output.contains("protocol 1\n") })
      #expect(!outsider.output.contains("protocol 89"), "\(outsider.output)")

      try node.succeed("set", "b", "raw.allow=icmp")
      #expect(
        try eventually(within: 20) { try !ask("a", "show route").contains("192.0.2.16/28") },
        "its neighbour is silent")
      try node.succeed("destroy", "--force", "a", "b", "c")
      try node.succeed("overlay", "delete", "mesh")
    }
  }

  // MARK: - Forgery

  /// Sends a packet of each kind into an overlay, by a packet socket and by a raw one, with its name as the
  /// payload. The good ones are allowed: the control.
  private static let forger = """
    import struct, sys
    from socket import *
    own, other = map(inet_aton, sys.argv[1:3])
    mac, gateway = b"\\x02\\x6f" + own, bytes.fromhex("02736f000001")
    def checksum(data):
        data += bytes(len(data) % 2)
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total & 0xffff) + (total >> 16)
        return ~(total + (total >> 16)) & 0xffff
    def ip(protocol, payload, source=own, target=other):
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 7, 0, 1, protocol, 0) + source + target
        return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload
    def udp(name, port): return struct.pack("!HHHH", port, 9, 8 + len(name), 0) + name
    def icmp(kind, name, code=0):
        head = bytes([kind, code])
        return head + struct.pack("!HHH", checksum(head + bytes(6) + name), 0, 0) + name
    def error(name, quoted, code=3): return ip(1, icmp(3, quoted[:20] + udp(name, 9), code))
    group = inet_aton("224.0.0.5")
    packets = [
        ip(17, udp(b"good-udp", 20000)), ip(1, icmp(8, b"good-echo")), ip(88, b"good-eigrp"),
        error(b"good-error", ip(17, b"", other, own)), ip(88, b"good-group", target=group),
        ip(17, udp(b"bad-port", 30000)), ip(6, struct.pack("!HHIIBBHHH", 20000, 80, 1, 0, 0x50, 2, 100, 0, 0) + b"bad-tcp"),
        ip(89, b"bad-ospf"), ip(1, icmp(5, own + b"bad-redirect")), ip(1, icmp(13, b"bad-timestamp")),
        error(b"bad-others", ip(17, b"", other, gateway[:4])), error(b"bad-size", ip(17, b"", other, own), 4),
        ip(17, udp(b"bad-group", 20000), target=group), ip(1, icmp(8, b"bad-ping"), target=group),
    ]
    raw, frames = socket(AF_INET, SOCK_RAW, 255), socket(AF_PACKET, SOCK_RAW, 0)
    raw.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"mesh")
    frames.bind(("mesh", 0x0800))
    def attempt(send, *arguments):
        try: send(*arguments)
        except OSError: pass
    for packet in packets:
        to = packet[16:20]
        there = bytes.fromhex("01005e000005") if to == group else gateway
        attempt(frames.send, there + mac + b"\\x08\\0" + packet.replace(b"good-", b"Good-").replace(b"bad-", b"Bad-"))
        attempt(raw.sendto, packet, (inet_ntoa(to), 0))
    """

  /// Prints the names that arrive, each once, and `ready` first.
  private static let witness = """
    import re
    from socket import *
    tap = socket(AF_PACKET, SOCK_RAW, htons(3))
    tap.bind(("mesh", 0))
    print("ready", flush=True)
    seen = set()
    while True:
        for name in re.findall(rb"(?:good|bad)-[a-z]+", tap.recv(65536), re.I):
            if name not in seen: seen.add(name); print(name.decode(), flush=True)
    """

  @Test func rawSocketsAreHeldToTheirGrants() throws {
    try withNode { node in
      try node.succeed("overlay", "create", "mesh", "--subnet", Self.subnet)
      let grants = "icmp,udp:20000-20010,proto:88,sniff"
      for (name, own) in [("a", grants), ("b", "icmp,proto:88,proto:89")] {
        try node.createRaw(name, own)
        try node.succeed("overlay", "join", "mesh", name)
      }
      let witness = try node.host.start([
        "nsenter", "-t", try node.pid("b"), "-n", "python3", "-c", Self.witness,
      ])
      defer { witness.signal(SIGKILL) }
      #expect(eventually { witness.output.contains("ready") })
      let kinds = ["udp", "echo", "eigrp", "error", "group"]
      let good = kinds.flatMap { ["good-\($0)", "Good-\($0)"] }

      let sent = try node.slicectl(
        "exec", "a", "--", "python3", "-c", Self.forger, "10.64.0.2", "10.64.0.3")
      try #require(sent.status == 0, "\(sent)")
      let arrives = eventually {
        good.allSatisfy(witness.output.split(separator: "\n").map(String.init).contains)
      }
      #expect(arrives, "\(witness.output)")
      let overlay = try node.json("overlay", "inspect", "mesh")
      // Two kinds that nobody may send, two errors about what isn't so; by both sockets.
      let drops = overlay["members"].array?.first { $0["slice"].string == "a" }?["dropped"]
      #expect(drops?["icmp"].integer == 8, "\(overlay)")
      #expect(!witness.output.lowercased().contains("bad-"), "\(witness.output)")
      try node.succeed("destroy", "--force", "a", "b")
      try node.succeed("overlay", "delete", "mesh")
    }
  }
}
