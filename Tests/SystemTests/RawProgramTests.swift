import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Programs that need raw sockets, as Debian has them, in slices: with the grant they work, without it
/// they fail as for everybody without privileges, and the refusal is told.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/python3")) struct RawProgramTests {
  /// One that runs against the other site.
  struct Program: Sendable, CustomStringConvertible {
    var description: String
    var executable: String
    var arguments: [String]
    var grants: String
    /// What it prints when it works.
    var works: String
    /// Of another kind.
    var other = "sniff"
    /// Of what it prints without the grant; nil: it makes do without a raw socket then (icmp(7)).
    var fails: String? = "permitted"
    /// A call that is refused to it without the grant.
    var refused: String

    var words: [String] {
      (executable == "/usr/bin/scapy" ? ["/usr/bin/python3"] : [executable]) + arguments
    }
  }

  static let programs: [Program] = [
    Program(
      description: "traceroute by ICMP", executable: "/usr/sbin/traceroute",
      arguments: ["-I", "-n", "-q1", "-w2", Sites.peer4], grants: "icmp", works: Sites.peer4 + "  ",
      fails: nil, refused: "socket(AF_INET, SOCK_RAW, 1)"),
    Program(
      description: "traceroute by TCP", executable: "/usr/sbin/traceroute",
      arguments: ["-T", "-n", "-q1", "-w2", "-p", "80", "--sport=20001", Sites.peer4],
      grants: "tcp:20000-20010", works: Sites.peer4 + "  ",
      refused: "socket(AF_INET, SOCK_RAW, 6)"),
    Program(
      description: "arping", executable: "/usr/bin/arping",
      arguments: ["-c", "2", "-w", "3", "-I", "eth0", "172.31.128.1"], grants: "ethertype:0x0806",
      works: "Received 2 response", other: "icmp", refused: "socket(AF_PACKET, SOCK_DGRAM, 0x0)"),
    Program(
      description: "nmap -sS", executable: "/usr/bin/nmap",
      arguments: [
        "-n", "-Pn", "-sS", "-p", "80,81", "--source-port", "20000", "--send-ip", Sites.peer4,
      ], grants: "tcp:20000-20010,sniff", works: "80/tcp open",
      refused: "socket(AF_INET, SOCK_RAW, 255)"),
    Program(
      description: "mtr", executable: "/usr/bin/mtr",
      arguments: ["-n", "-r", "-c", "2", "-i", "0.2", Sites.peer4], grants: "icmp,icmp6",
      works: Sites.peer4, fails: nil, refused: "socket(AF_INET, SOCK_RAW, 255)"),
    Program(
      description: "hping3", executable: "/usr/sbin/hping3",
      arguments: [
        "-S", "-c", "2", "-i", "u100000", "-s", "20000", "-k", "-p", "80", "-I", "eth0",
        Sites.peer4,
      ], grants: "tcp:20000-20010,sniff", works: "flags=SA",
      refused: "socket(AF_INET, SOCK_RAW, 255)"),
    Program(
      description: "scapy", executable: "/usr/bin/scapy",
      arguments: [
        "-c",
        """
        import sys
        from scapy.all import *
        conf.verb = 0
        answer = sr1(IP(dst="\(Sites.peer4)") / ICMP(id=77) / b"forged header", timeout=3)
        print(answer.summary() if answer else "nothing")
        """,
      ], grants: "icmp,sniff,ethertype:0x0806", works: "echo-reply", other: "icmp",
      refused: "socket(AF_PACKET, SOCK_RAW, 0x3)"),
  ]

  /// One program in two slices, both of which run at once.
  private struct Run {
    let program: Program
    let (with, without): (String, String)
    let granted: BackgroundCommand
    let refused: BackgroundCommand

    init(_ program: Program, _ number: Int, in node: TestNode) throws {
      self.program = program
      (with, without) = ("with-\(number)", "without-\(number)")
      try node.createRaw(with, program.grants)
      try node.createRaw(without, program.other)
      granted = try BackgroundCommand(node.slicectlCommand(["exec", with, "--"] + program.words))
      refused = try BackgroundCommand(
        node.slicectlCommand(["exec", without, "--"] + program.words))
    }

    func check(in node: TestNode) throws {
      let result = granted.wait(seconds: 90)
      #expect((result.output + result.errors).contains(program.works), "\(program): \(result)")
      let refusal = refused.wait(seconds: 90)
      let said = refusal.output + refusal.errors
      if let word = program.fails {
        #expect(said.lowercased().contains(word), "\(program): \(refusal)")
        #expect(!said.contains(program.works), "\(program): \(refusal)")
      }
      // The broker tells the supervisor, which may come to it later than the program to its end.
      var calls: [String?] = []
      _ = try eventually {
        calls = try node.events("raw-refused", of: without).map { $0["call"].string }
        return calls.contains(program.refused)
      }
      #expect(calls.contains(program.refused), "\(program): \(calls)")
    }
  }

  /// All at once, since most of their time is waiting for answers.
  @Test func programsRunWithTheirGrantAndNotWithout() throws {
    try withSites { node, sites in
      let server = try sites.start(.peer, "python3", "-u", "-m", "http.server", "80")
      defer { server.signal(SIGKILL) }
      try #require(eventually(within: 30) { server.output.contains("Serving HTTP") })
      let present = Self.programs.filter { HostFiles.exists($0.executable) }
      try #require(!present.isEmpty, "none of them is installed: make test-deps")
      let runs = try present.enumerated().map { try Run($1, $0, in: node) }
      for run in runs { try run.check(in: node) }
    }
  }

  @Test(.requiresProgram("/usr/bin/ping")) func pingOfBothFamilies() throws {
    try withSites { node, sites in
      try node.createRaw("a", "icmp,icmp6")
      for address in [Sites.peer4, Sites.peer6] {
        #expect(
          try node.execute("a", "ping", "-c", "2", "-i", "0.2", "-W", "2", address)
            .contains("2 received"))
      }
    }
  }

  @Test(.requiresProgram("/usr/bin/tcpdump")) func tcpdumpWritesWhatItsFilterSays() throws {
    try withSites { node, sites in
      try node.createRaw("a", "icmp,sniff")
      let dump = try node.start(
        "exec", "a", "--", "tcpdump", "-n", "-i", "eth0", "-c", "3", "-w", "/tmp/capture",
        "icmp[icmptype] = icmp-echoreply")
      #expect(eventually(within: 20) { dump.errors.contains("listening") })
      _ = try node.execute("a", "ping", "-c", "4", "-i", "0.2", "-W", "2", Sites.peer4)
      #expect(dump.wait(seconds: 20).status == 0)
      let lines = try node.execute("a", "tcpdump", "-n", "-r", "/tmp/capture").split(
        separator: "\n")
      #expect(lines.filter { $0.contains("echo reply") }.count == 3, "\(lines)")
      #expect(lines.allSatisfy { !$0.contains("echo request") })
    }
  }

  /// strace lets the program go on at each call, and a signal may come meanwhile.
  @Test(.requiresProgram("/usr/bin/strace")) func aProgramThatIsTraced() throws {
    try withNode { node in
      try node.createRaw("a", "icmp")
      let result = try node.slicectl(
        "exec", "a", "--", "strace", "-f", "-e", "trace=socket", "sh", "-c",
        "traceroute -I -n -m1 -q1 172.31.128.1; true")
      #expect(result.output.contains(" 1  172.31.128.1"), "\(result)")
      #expect(result.errors.contains("socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) = "), "\(result)")
    }
  }

  /// The host answers on the slice's link, and only where that port of it is open to the slice.
  @Test func aDHCPClientAsksOnTheSlicesLink() throws {
    try withNode { node in
      try node.createRaw("a", "sniff,udp:68")
      try node.createRaw("b", "sniff,udp:69")
      let address = try #require(try node.inspect("a")["network"]["ipv4"].string)
      let server = try node.host.start(["python3", "-u", "-c", Self.leases, address])
      defer { server.signal(SIGKILL) }
      #expect(eventually { server.output.contains("ready") })
      func ask(_ slice: String) throws -> CommandResult {
        try node.slicectl(
          "exec", slice, "--", "busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "3", "-T",
          "1", "-s", "/bin/true", timeout: 30)
      }
      // Where the port is not open to it nobody hears it.
      #expect(try ask("a").status != 0)
      #expect(!server.output.contains("question"))
      try node.succeed("set", "a", "net.allow=67/udp")
      try node.succeed("set", "b", "net.allow=67/udp")
      let result = try ask("a")
      #expect(
        (result.output + result.errors).contains("lease of \(address) obtained"),
        "\(result)\n\(server.output)\(server.errors)")
      let refused = try ask("b")
      #expect(refused.status != 0, "\(refused)")
      #expect(!(refused.output + refused.errors).contains("obtained"))
    }
  }

  /// A DHCP server for the slice on sl-0 (RFC 2131), since that link has no address of the host's as others'
  /// want it. A line for each question.
  private static let leases = """
    import struct, sys
    from socket import *
    server = socket(AF_INET, SOCK_DGRAM)
    server.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    server.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"sl-0")
    server.bind(("", 67))
    gateway = inet_aton("172.31.128.1")
    print("ready")
    while True:
        question = server.recv(2000)
        kind = question[question.index(b"\\x35\\x01", 240) + 2]
        print("question", kind)
        server.sendto(
            b"\\2\\1\\6\\0" + question[4:8] + bytes(2) + question[10:12] + bytes(4) + inet_aton(sys.argv[1])
            + gateway + bytes(4) + question[28:44] + bytes(192) + question[236:240]
            + bytes([53, 1, 2 if kind == 1 else 5, 54, 4]) + gateway
            + bytes([51, 4]) + struct.pack("!I", 3600) + bytes([1, 4, 255, 255, 255, 255, 255]),
            ("255.255.255.255", 68))
    """

  // MARK: - Tunnels

  /// The kernel sends into tun0 what goes to its network; who is attached answers.
  private static let answerer = """
    import fcntl, os, struct, sys
    device = os.open("/dev/net/tun", os.O_RDWR)
    try: fcntl.ioctl(device, 0x400454ca, struct.pack("16sH22x", sys.argv[1].encode(), int(sys.argv[2], 0)))
    except OSError as error: print(os.strerror(error.errno)); sys.exit(1)
    print("attached", flush=True)
    while True:
        packet = bytearray(os.read(device, 2000))
        if packet[0] >> 4 != 4 or packet[9] != 1: continue
        packet[12:16], packet[16:20] = packet[16:20], packet[12:16]
        total = struct.unpack("!H", packet[22:24])[0] + 0x0800
        packet[20], packet[22:24] = 0, struct.pack("!H", (total & 0xffff) + (total >> 16))
        os.write(device, packet)
    """

  @Test func aTunnelIsTheSlicesOwnAndGoesWithItsGrant() throws {
    try withNode { node in
      try node.createRaw("a", "tun:10.8.0.1/24,tun:queues")
      try node.createRaw("b", "icmp")
      func attach(_ slice: String, _ name: String, _ flags: String) throws -> CommandResult {
        try node.slicectl(
          "exec", slice, "--", "timeout", "0.5", "python3", "-c", Self.answerer, name, flags)
      }
      let served = try node.start(
        "exec", "a", "--", "python3", "-c", Self.answerer, "tun0", "0x1001")
      #expect(eventually(within: 20) { served.output.contains("attached") })
      #expect(
        try node.execute("a", "ping", "-c", "2", "-i", "0.2", "-W", "2", "10.8.0.7")
          .contains("2 received"))
      // Several queues, each attached by itself; none beside those that were granted; not TAP.
      #expect(try attach("a", "tun1", "0x1101").output == "attached\n")
      for (name, flags) in [("tun2", "0x1001"), ("tun1", "0x1002"), ("tun0", "0x1001")] {
        #expect(try !attach("a", name, flags).output.contains("attached"), "\(name) \(flags)")
      }
      #expect(try node.slicectl("exec", "b", "--", "test", "-e", "/dev/net/tun").status == 1)
      // What has a foreign source does not leave by the slice's link.
      #expect(try node.execute("a", "cat", "/proc/sys/net/ipv4/ip_forward") == "0")
      try node.succeed("set", "a", "raw.allow=icmp")
      #expect(served.wait(seconds: 10).status != 0, "its device has gone")
      #expect(try node.slicectl("exec", "a", "--", "ls", "/sys/class/net/tun0").status != 0)
      try node.succeed("set", "a", "raw.allow=tun:10.9.0.1/24")
      #expect(try attach("a", "tun0", "0x1001").output == "attached\n")
      let note = try node.slicectl("set", "b", "raw.allow=tun")
      #expect((note.output + note.errors).contains("next start"), "\(note)")
    }
  }

  /// Two slices of one owner, a tunnel between them.
  @Test(.requiresProgram("/usr/sbin/openvpn")) func openvpnBetweenTwoSlices() throws {
    try withNode { node in
      for (name, own) in [("a", 1), ("b", 2)] {
        try node.createRaw(name, "tun:10.8.0.\(own)/24")
      }
      let key = try node.host.run(["openvpn", "--genkey", "secret", "/dev/stdout"]).output
      var ends: [BackgroundCommand] = []
      defer { ends.forEach { $0.signal(SIGKILL) } }
      for (name, peer) in [("a", "b"), ("b", "a")] {
        let to = try #require(try node.inspect(peer)["network"]["ipv4"].string)
        ends.append(
          try node.start(
            "exec", name, "-i", "--", "sh", "-c",
            """
            cat >/tmp/key && exec openvpn --dev tun0 --dev-type tun --ifconfig-noexec --remote \(to) \
              --port 1194 --proto udp --secret /tmp/key --cipher AES-256-CBC --verb 3
            """, input: key))
      }
      #expect(
        eventually(within: 30) {
          ends.allSatisfy { $0.output.contains("Initialization Sequence Completed") }
        }, "\(ends.map(\.output))")
      #expect(
        try node.execute("a", "ping", "-c", "3", "-i", "0.3", "-W", "2", "10.8.0.2")
          .contains(" received"))
    }
  }
}

extension TestNode {
  /// A slice of the host's programs.
  func createRaw(
    _ name: String, _ grants: String?, command: [String] = ["sleep", "100000"]
  ) throws {
    let result = try slicectl(
      ["create", name, "--image", "host"] + (grants.map { ["--set", "raw.allow=\($0)"] } ?? [])
        + ["--"] + command)
    guard result.status == 0 else { throw HarnessError("create \(name): \(result)") }
  }

  /// The details of events.
  func events(_ kind: String, of slice: String) throws -> [JSONValue] {
    let all = try json("events").array ?? []
    return all.filter { $0["kind"].string == kind && $0["slice"].string == slice }
      .map { $0["details"] }
  }
}
