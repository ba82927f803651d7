import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// `slicectl capture`: a slice's own packets, for its owner, as pcapng.
@Suite(.serialized, .requiresSlices) struct CaptureTests {
  /// Two slices, with a program in the first that answers datagrams.
  private func withSlices(_ body: (TestNode, _ address: String, _ other: String) throws -> Void)
    throws
  {
    try withNode { node in
      for name in ["a", "b"] {
        try node.succeed("create", name, "--image", "host", "--", "sleep", "100000")
      }
      func address(_ slice: String) throws -> String {
        try #require(try node.inspect(slice)["network"]["ipv4"].string)
      }
      try body(node, try address("a"), try address("b"))
    }
  }

  /// Datagrams of one size to these ports.
  private func send(
    _ node: TestNode, from slice: String, to address: String, ports: [Int], times: Int = 1
  ) throws {
    _ = try node.execute(
      slice, "python3", "-c",
      """
      import socket, sys
      s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      for _ in range(\(times)):
          for port in sys.argv[2].split():
              try: s.sendto(b'x' * 100, (sys.argv[1], int(port)))
              except OSError: s.sendto(b'x' * 100, (sys.argv[1], int(port)))
      """, address, ports.map(String.init).joined(separator: " "))
  }

  private func start(
    _ node: TestNode, _ arguments: String...
  ) throws -> BackgroundCommand {
    let command = try BackgroundCommand(node.slicectlCommand(["capture"] + arguments))
    guard eventually(within: 15, { command.errors.contains("capturing") || !command.isRunning })
    else { throw HarnessError("no capture: \(command.errors)") }
    return command
  }

  @Test(.requiresProgram("/usr/bin/tcpdump")) func wiresharksFormatHoldsItsPackets() throws {
    try withSlices { node, address, other in
      let file = node.directory + "/a.pcapng"
      let capture = try start(node, "a", "-w", file, "--filter", "udp port 5353")
      try send(node, from: "a", to: other, ports: [5353, 5354], times: 3)
      try send(node, from: "b", to: address, ports: [5353, 5355], times: 2)
      usleep(300_000)
      capture.signal(SIGINT)
      let end = capture.wait(seconds: 10)
      #expect(end.status == 0, "\(end)")
      #expect(end.errors.contains("5 packets captured, 0 dropped by the kernel"), "\(end)")
      let read = try Command.run(["tcpdump", "-nr", file])
      let lines = read.output.split(separator: "\n")
      #expect(lines.count == 5, "\(read)")
      #expect(lines.count { $0.contains("\(address).") && $0.contains("> \(other).5353: ") } == 3)
      #expect(lines.count { $0.contains("\(other).") && $0.contains("> \(address).5353: ") } == 2)
      // Nobody else reads it.
      var about = stat()
      #expect(stat(file, &about) == 0 && about.st_mode & 0o077 == 0)
    }
  }

  @Test(.requiresProgram("/usr/bin/tshark"), .requiresProgram("/usr/bin/capinfos"))
  func wiresharkReadsDirectionsAndDrops() throws {
    try withSlices { node, _, other in
      let file = node.directory + "/a.pcapng"
      let capture = try start(node, "a", "-w", file, "--filter", "icmp", "--snaplen", "64")
      _ = try node.execute("a", "ping", "-c", "2", "-i", "0.2", "-s", "200", other)
      usleep(300_000)
      capture.signal(SIGINT)
      #expect(capture.wait(seconds: 10).status == 0)
      let fields = try Command.run([
        "tshark", "-r", file, "-T", "fields", "-e", "frame.interface_name", "-e",
        "frame.packet_flags_direction", "-e", "frame.len", "-e", "frame.cap_len", "-e",
        "icmp.type",
      ])
      let lines = fields.output.split(separator: "\n").map { $0.split(separator: "\t") }
      #expect(lines.count == 4, "\(fields)")
      for line in lines {
        try #require(line.count == 5, "\(fields)")
        #expect(line[0] == "eth0" && line[2] == "242" && line[3] == "64", "\(line)")
        // Outgoing requests, incoming answers.
        let direction = line[4] == "8" ? "2" : "1"
        #expect(line[1].hasSuffix(direction), "\(line)")
      }
      let about = try Command.run(["capinfos", "-M", file])
      #expect(about.status == 0 && about.output.contains("pcapng"), "\(about)")
      #expect(
        about.output.split(separator: "\n").contains {
          $0.hasPrefix("Number of packets:") && $0.hasSuffix(" 4")
        }, "\(about)")
    }
  }

  @Test func linesSayWhoSentWhat() throws {
    try withSlices { node, address, other in
      let capture = try start(node, "a", "--filter", "udp and dst port 7000", "--count", "2")
      try send(node, from: "a", to: other, ports: [7000, 7001], times: 5)
      let end = capture.wait(seconds: 10)
      #expect(end.status == 0, "\(end)")
      let lines = end.output.split(separator: "\n")
      #expect(lines.count == 2, "\(end)")
      #expect(
        lines.allSatisfy {
          $0.contains(" out \(address).") && $0.hasSuffix(" > \(other).7000: UDP, length 142")
        }, "\(lines)")
      // With a time, and without packets.
      let timed = try node.slicectl(
        ["--json", "capture", "a", "--filter", "tcp port 9", "--duration", "1s"])
      let totals = try JSONValue(parsing: timed.outputBytes)
      #expect(totals["packets"].integer == 0 && totals["droppedPackets"].integer == 0, "\(timed)")
    }
  }

  @Test func onesOwnPacketsAlone() throws {
    try withSlices { node, address, other in
      try node.succeed("create", "c", "--image", "host", "--", "sleep", "100000")
      // IPv4: of IPv6 the kernel says by itself which groups it listens to.
      let capture = try start(node, "c", "--duration", "3s", "--filter", "ip")
      try send(node, from: "a", to: other, ports: [7000], times: 200)
      try send(node, from: "b", to: address, ports: [7000], times: 200)
      try send(node, from: "c", to: "192.0.2.1", ports: [7000])
      let end = capture.wait(seconds: 15)
      let lines = end.output.split(separator: "\n")
      #expect(end.status == 0 && lines.count == 1, "others' packets: \(end)")
      #expect(lines.first?.contains("> 192.0.2.1.7000: UDP") == true, "the control: \(end)")
    }
  }

  @Test func whatIsLostIsCounted() throws {
    try withSlices { node, _, other in
      // A reader that waits: the ring of 4 MiB and the pipes are full before it goes on.
      let capture = try BackgroundCommand(
        ["sh", "-c", "\"$@\" | { sleep 6; cat >/dev/null; }", "sh"]
          + node.slicectlCommand(["capture", "a", "-w", "-"]))
      defer { capture.signal(SIGKILL) }
      try #require(eventually(within: 15) { capture.errors.contains("capturing") })
      _ = try node.execute(
        "a", "python3", "-c",
        """
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(20000):
            try: s.sendto(b'x' * 1400, (sys.argv[1], 7000))
            except OSError: pass
        """, other)
      usleep(300_000)
      let client = try #require(
        ProcessTable.pids(proc: node.host.proc).first {
          HostFiles.text("\(node.host.proc)/\($0)/cmdline").contains("capture\u{0}a\u{0}")
            && HostFiles.text("\(node.host.proc)/\($0)/comm") == "slicectl\n"
        })
      _ = try node.host.run(["kill", "-INT", "\(client)"])
      let end = capture.wait(seconds: 20)
      let words = end.errors.split(separator: "\n").last { $0.contains("dropped by the kernel") }
      let dropped = words?.split(separator: " ").dropLast(4).last.flatMap { Int($0) }
      #expect(dropped ?? 0 > 1000, "\(end)")
    }
  }

  @Test func itIsTheOwnersAndGivesNoMore() throws {
    try withNode { node in
      for (name, user) in [("a", TestUser.alice), ("b", .bob)] {
        let made = try node.slicectl(
          ["create", name, "--image", "minimal", "--", "sleep", "1000"], as: user)
        try #require(made.status == 0, "\(made)")
      }
      let foreign = try node.slicectl(["capture", "b", "--duration", "1s"], as: .alice)
      #expect(foreign.fails(4, "belongs to another"), "\(foreign)")
      let own = try node.slicectl(["capture", "a", "--duration", "1s"], as: .alice)
      #expect(own.status == 0, "\(own)")

      // Whoever has the socket could send with it. A process of the slice must not get at it.
      let capture = try BackgroundCommand(
        node.slicectlCommand(["capture", "a", "--duration", "20s"], as: .alice))
      defer {
        capture.signal(SIGINT)
        _ = capture.wait(seconds: 10)
      }
      try #require(eventually(within: 15) { capture.errors.contains("capturing") })
      let inside = try node.execute(
        "a", "sh", "-c",
        "for p in /proc/[0-9]*; do grep -q slice-capture $p/cmdline && echo ${p#/proc/}; done; true"
      )
      let helper = try #require(inside.split(separator: "\n").first, "it lives in the slice")
      let look = try node.slicectl(["exec", "a", "--", "ls", "/proc/\(helper)/fd"])
      #expect(look.status != 0, "\(look)")
      // The control: what any process of the slice shows.
      #expect(try node.slicectl(["exec", "a", "--", "ls", "/proc/self/fd"]).status == 0)

      for (arguments, word) in [
        (["--filter", "host name"], "not an address"), (["--filter", "tcp and"], "missing"),
        (["--snaplen", "0"], "snaplen"), (["-i", "nope"], "nope"), (["--duration", "x"], "time"),
      ] {
        let result = try node.slicectl(["capture", "a"] + arguments)
        #expect(result.fails(2, word), "\(arguments): \(result)")
      }
      try node.succeed("stop", "b")
      #expect(try node.slicectl("capture", "b").fails(1, "not running"))
    }
  }
}
