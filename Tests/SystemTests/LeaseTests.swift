import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Leases warn, end, and can be renewed.
@Suite(.requiresSlices) struct LeaseTests {
  private func options(grace: String) -> TestNode.Options {
    TestNode.Options(policy: "[lease]\ngrace = \"\(grace)\"\n")
  }

  private func kinds(_ node: TestNode, _ slice: String) throws -> [String] {
    try (node.json("events").array ?? []).filter { $0["slice"].string == slice }
      .compactMap { $0["kind"].string }
  }

  @Test func warnsStopsAndRemoves() throws {
    try withNode(options(grace: "2s")) { node in
      try node.create("web", "--set", "lease=4s")
      let shown = try node.succeed("list")
      #expect(shown.contains("in "), "\(shown)")
      #expect(eventually(within: 10) { (try? kinds(node, "web").contains("lease-ending")) == true })
      #expect(try node.reaches("stopped", "web"))
      #expect(try eventually { try kinds(node, "web").contains("lease-ended") })
      for verb in ["start", "restart"] {
        let result = try node.slicectl(verb, "web")
        #expect(result.fails(4, "its lease ended", "slicectl renew web"), "\(result)")
      }
      #expect(try node.inspect("web")["lease"]["removedAt"].string != nil)
      #expect(try eventually(within: 10) { try node.state(of: "web") == nil })
      let last = try node.json("events").array?.last { $0["slice"].string == "web" }
      #expect(last?["kind"] == .string("destroyed"))
      #expect(last?["by"] == .string("lease"))
    }
  }

  @Test func aRenewedLeaseGoesOn() throws {
    try withNode(options(grace: "1h")) { node in
      try node.create("web", "--set", "lease=3s")
      try node.succeed("renew", "web", "--for", "1h")
      usleep(3_500_000)
      #expect(try node.state(of: "web") == "running")
      try node.succeed("set", "web", "lease=1s")
      #expect(try node.reaches("stopped", "web"))
      #expect(try eventually { try kinds(node, "web").contains("lease-ended") })
      let renewed = try node.succeed("renew", "web", "--for", "2d")
      #expect(renewed == "web: its lease ends in 2d\n")
      try node.succeed("start", "web")
      #expect(try kinds(node, "web").contains("lease-renewed"))
      // Without one there is nothing to renew.
      try node.succeed("set", "web", "lease=")
      #expect(try node.inspect("web")["lease"] == .null)
      let none = try node.slicectl("renew", "web")
      #expect(none.fails(1, "it has no lease"), "\(none)")
    }
  }

  @Test func anOwnerRenewsWithinTheirBound() throws {
    let options = TestNode.Options(policy: "[owners.\"*\"]\nlease = \"1h\"\n")
    try withNode(options) { node in
      try node.succeed(
        "create", "hers", "--image", "minimal", "--no-start", "--set", "lease=10m", as: .alice)
      let result = try node.slicectl("renew", "hers", "--for", "2h", as: .alice)
      #expect(result.fails(4, "lease=2h", "1h at most"), "\(result)")
      try node.succeed("renew", "hers", "--for", "1h", as: .alice)
      #expect(try node.slicectl("renew", "hers", as: .bob).status == 4)
      try node.succeed("renew", "hers", "--for", "9w")
    }
  }

  @Test func theClockGoesOnWhileTheSupervisorIsAway() throws {
    try withNode(options(grace: "1h")) { node in
      try node.create("web", "--set", "lease=2s", command: ["sleep", "100000"])
      let end = try node.json("list").array?.first?["lease"].string
      node.crashSupervisor()
      usleep(2_500_000)
      try node.startSupervisor()
      #expect(try node.reaches("stopped", "web"))
      #expect(try node.json("list").array?.first?["lease"].string == end)
      #expect(try eventually { try node.inspect("web")["lease"]["endedAt"].string != nil })
      node.crashSupervisor()
      try node.startSupervisor()
      #expect(try node.slicectl("start", "web").fails(4, "lease"))
      try node.succeed("renew", "web", "--for", "1h")
      try node.succeed("start", "web")
    }
  }

  @Test func aRebootStartsNothingWhoseLeaseIsOver() throws {
    try withNode(options(grace: "1h")) { node in
      try node.create("web", "--set", "lease=2s")
      node.crashSupervisor()
      // As after a reboot: no process, another boot.
      let record = "\(node.state)/slices/web/slice.json"
      let boot = HostFiles.lines("/proc/sys/kernel/random/boot_id")[0]
      let other = String(boot.map { $0 == "-" ? "-" : "0" })
      try HostFiles.write(
        HostFiles.text(record).split(separator: boot, omittingEmptySubsequences: false)
          .joined(separator: other), to: record)
      try HostFiles.write("1", to: "\(node.cgroup)/web/cgroup.kill")
      usleep(2_500_000)
      _ = try node.host.run(["ip", "link", "delete", "sl-0"])
      try node.startSupervisor()
      usleep(500_000)
      #expect(try node.state(of: "web") != "running")
      #expect(try !kinds(node, "web").contains("started"))
    }
  }

  /// Every service ignores SIGTERM, so that each stop takes its whole grace.
  @Test(.timeLimit(.minutes(3))) func manyEndsAtOnceGoOnTogether() throws {
    try withNode(options(grace: "1h")) { node in
      let count = 12
      for number in 0..<count {
        try node.create(
          "s\(number)", "--set", "lease=1h",
          command: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
      }
      let began = MonotonicTime.now
      for number in 0..<count { try node.succeed("set", "s\(number)", "lease=1ms") }
      #expect(
        try eventually(within: 60) {
          try node.json("list").array?.allSatisfy { $0["state"].string != "running" } == true
        })
      #expect(MonotonicTime.now - began < 40, "one after the other it would be two minutes")
    }
  }
}
