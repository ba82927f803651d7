import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Addresses that are not the slices' alone.
@Suite(.requiresSlices) struct AddressPoolTests {
  private func ip(_ node: TestNode, _ arguments: String...) throws {
    let result = try node.host.run(["ip"] + arguments)
    guard result.status == 0 else { throw HarnessError("ip \(arguments): \(result)") }
  }

  /// What another sliced says of itself, with a policy of its own.
  private func startAnother(_ node: TestNode, _ policy: String) throws -> CommandResult {
    let place = node.directory + "/another"
    mkdir(place, 0o700)
    try HostFiles.write(policy, to: place + "/node.toml")
    return try node.host.run(
      [
        "timeout", "10", Host.programs + "/sliced", "--state", place + "/state", "--runtime",
        place + "/run", "--socket", place + "/sock", "--policy", place + "/node.toml", "--cgroup",
        String(node.cgroup.dropFirst(Host.cgroupMount!.count)) + "/another",
      ], timeout: 20)
  }

  @Test(arguments: [
    ("address add 10.77.0.9/32 dev lo", "10.77.0.9/32 on lo", "pool4 = \"10.77.0.0/24\""),
    ("route add 10.78.0.0/16 dev lo", "10.78.0.0/16 on lo", "pool4 = \"10.78.1.0/24\""),
    ("address add fd77::1/64 dev lo", "fd77::", "pool6 = \"fd77::/64\""),
  ])
  func aPoolThatTheHostUsesIsRefused(taken: String, words: String, pool: String) throws {
    try withNode { node in
      node.stopSupervisor()
      let words = (taken: taken.split(separator: " ").map(String.init), found: words)
      let made = try node.host.run(["ip"] + words.taken)
      try #require(made.status == 0, "\(made)")
      let result = try startAnother(node, "allow-unenforced = true\n[network]\n\(pool)\n")
      #expect(result.status == 1)
      #expect(
        result.errors.contains("overlaps") && result.errors.contains(words.found), "\(result)")
      #expect(result.errors.contains("node.toml"), "says what to do")
      _ = try node.host.run(["ip"] + words.taken.map { $0 == "add" ? "delete" : $0 })
      try node.startSupervisor()
    }
  }

  /// It would take the first one's links for orphans.
  @Test func aSecondSupervisorInTheSameNamespaceIsRefused() throws {
    try withNode { node in
      try node.create("web")
      let link = try node.inspect("web")["network"]["link"].string ?? ""
      for pool in ["", "[network]\npool4 = \"10.77.0.0/24\"\npool6 = \"fd77::/64\"\n"] {
        let result = try startAnother(node, "allow-unenforced = true\n" + pool)
        #expect(result.status == 1)
        #expect(result.errors.contains("another sliced"), "\(result)")
      }
      #expect(try node.host.run(["ip", "link", "show", link]).status == 0)
      let address = try node.inspect("web")["network"]["ipv4"].string ?? ""
      #expect(try node.host.run(["ping", "-n", "-c", "1", "-W", "2", address]).status == 0)
    }
  }

  @Test func anAddressThatTheHostHasTakenIsRefused() throws {
    try withNode { node in
      for prefix in ["172.31.128.", "fd73:6c69:6365::"] {
        // Of whichever slice comes next: a number that was tried may rest for a moment.
        let addresses = (2...9).map { "\(prefix)\($0)" }
        for address in addresses { try ip(node, "address", "add", address, "dev", "lo") }
        let result = try node.slicectl("create", "web", "--image", "minimal")
        #expect(result.fails(1, prefix, "host's own", "hint"), "\(result)")
        #expect(try node.json("list") == .array([]), "nothing of it is left")
        for address in addresses { try ip(node, "address", "delete", address, "dev", "lo") }
      }
      try node.create("web")
    }
  }
}
