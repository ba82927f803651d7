import SliceConfiguration
import SliceModel
import Testing

@Suite struct NodePolicyFileTests {
  @Test func anEmptyFileIsTheDefault() throws {
    for text in ["", "[network]\n[ids]\n"] {
      #expect(try NodePolicyFile.parse(text: text, fileName: "node.toml") == NodePolicy())
    }
  }

  @Test func readsEveryKey() throws {
    let policy = try NodePolicyFile.parse(
      text: """
        admin-group = "slice-admins"
        allow-unenforced = true
        [network]
        pool4 = "10.9.0.0/16"
        pool6 = "fd00:1::/64"
        ready = 20
        name-servers = ["192.0.2.53", "2001:DB8:0::53"]
        allow = ["10.1.2.0/24", "fd00:9::3"]
        host-ports = ["123/udp"]
        uplinks = ["eth0", "wan0.7"]
        [ids]
        first = 0x1000_0000
        ranges = 16
        """, fileName: "node.toml")
    var expected = NodePolicy()
    expected.adminGroup = "slice-admins"
    expected.allowUnenforced = true
    expected.addresses4 = try #require(AddressPool4("10.9.0.0/16"))
    expected.addresses6 = try #require(AddressPool6("fd00:1::/64"))
    expected.readyNamespaces = 20
    expected.nameServers = ["192.0.2.53", "2001:db8::53"]
    expected.network.allow = [
      try #require(AddressNetwork("10.1.2.0/24")), try #require(AddressNetwork("fd00:9::3")),
    ]
    expected.network.hostPorts = [try #require(TransportPort("123/udp"))]
    expected.network.uplinks = ["eth0", "wan0.7"]
    expected.firstUserID = 0x1000_0000
    expected.userIDRanges = 16
    #expect(policy == expected)
  }

  @Test func readsTotalsAndReserve() throws {
    let policy = try NodePolicyFile.parse(
      text: """
        [total]
        cpu = "350%"
        memory = "20G"
        pids = 20000
        disk = "200G"
        net = "900M"
        [reserve]
        cpu = 0.5
        memory = 536870912
        """, fileName: "node.toml")
    #expect(policy.total.cpu == CPUAmount("3.5"))
    #expect(policy.total.memory == ByteSize("20G"))
    #expect(policy.total.pids == 20_000)
    #expect(policy.total.disk == ByteSize("200G"))
    #expect(policy.total.net == BitRate("900M"))
    #expect(policy.reserve.cpu == CPUAmount("50%"))
    #expect(policy.reserve.memory == ByteSize("512M"))
  }

  @Test(arguments: [(65_536, 65_534), (4_294_836_224, 1), (131_072, 1)])
  func acceptsTheBoundsOfIDs(first: Int, ranges: Int) throws {
    let policy = try NodePolicyFile.parse(
      text: "ids = { first = \(first), ranges = \(ranges) }", fileName: "node.toml")
    #expect(Int(policy.firstUserID) == first)
    #expect(policy.userIDRanges == ranges)
    #expect(UInt64(first) + UInt64(ranges) * 65_536 < UInt64(UInt32.max))
  }

  @Test(arguments: [
    BadText(
      "admin-group = 5", "1:15: admin-group: expected the name of a group, in quotes, found 5"),
    BadText("admin-group = \"a b\"", "1:15: admin-group: expected the name of a group"),
    BadText("admin-group = \"\"", "1:15: admin-group: expected the name of a group"),
    BadText(
      "allow-unenforced = \"yes\"", "1:20: allow-unenforced: expected true or false, found 'yes'"),
    BadText(
      "admingroup = \"a\"", "1:1: unknown key 'admingroup'", hint: "did you mean 'admin-group'?"),
    BadText("xyz = 1", "1:1: unknown key 'xyz'", hint: "known here: admin-group, allow-unenforced"),
    BadText("network = 1", "1:11: network: expected a table, found 1"),
    BadText(
      "[network]\npool = 1", "2:1: unknown key 'network.pool'", hint: "did you mean 'pool4'?"),
    BadText(
      "[network]\nallow = [\"10.0.0.1/8\"]",
      "2:10: network.allow: expected an IPv4 or IPv6 network"),
    BadText(
      "[network]\nready = 1025", "2:9: network.ready: expected a whole number from 0 to 1024"),
    BadText("[network]\nallow = \"10.0.0.0/8\"", "2:9: network.allow: expected an array"),
    BadText("[network]\nhost-ports = [22]", "2:15: network.host-ports: expected a port such as"),
    BadText("[network]\npool4 = \"10.0.0.1/8\"", "2:9: network.pool4: expected an IPv4 network"),
    BadText("[network]\npool4 = \"fd00::/64\"", "2:9: network.pool4: expected an IPv4 network"),
    BadText("[network]\npool6 = \"fd00::\"", "2:9: network.pool6: expected an IPv6 network"),
    BadText(
      "[network]\nname-servers = \"192.0.2.1\"",
      "2:16: network.name-servers: expected an array of addresses, in quotes, found '192.0.2.1'"),
    BadText(
      "[network]\nname-servers = [\"192.0.2.1\",\n  \"dns.example\"]",
      "3:3: network.name-servers: expected an IPv4 or IPv6 address, in quotes, "
        + "found 'dns.example'"),
    BadText(
      "[network]\nname-servers = [\"192.0.2.1\\nnameserver 192.0.2.2\"]",
      "2:17: network.name-servers: expected an IPv4 or IPv6 address"),
    BadText("[ids]\nfirst = 65537", "2:9: ids.first: expected a multiple of 65536, found 65537"),
    BadText("[ids]\nfirst = 0", "2:9: ids.first: expected a whole number from 65536 to 4294836224"),
    BadText("[ids]\nfirst = -65536", "2:9: ids.first: expected a whole number"),
    BadText("[ids]\nfirst = \"65536\"", "2:9: ids.first: expected a whole number"),
    BadText("[ids]\nfirst = 4294901760", "2:9: ids.first: expected a whole number"),
    BadText(
      "[ids]\nranges = 0", "2:10: ids.ranges: expected a whole number from 1 to 45055, found 0"),
    BadText(
      "[ids]\nfirst = 65536\nranges = 65535",
      "3:10: ids.ranges: expected a whole number from 1 to 65534"),
    BadText(
      "[ids]\nfirst = 4294836224", "2:9: ids.first: 8192 ranges of 65536 ids do not fit above it",
      hint: "at most 1"),
    BadText(
      "[total]\ncpu = \"0%\"", "2:7: total.cpu: expected an amount of processors such as 150%"),
    BadText("[total]\nmemory = \"1K\"", "2:10: total.memory: expected a size such as 256M"),
    BadText("[total]\npids = 0", "2:8: total.pids: expected a whole number from 16 to 4194304"),
    BadText("[total]\ndisk = true", "2:8: total.disk: expected a size"),
    BadText("[total]\nmem = 1", "2:1: unknown key 'total.mem'", hint: "known here: cpu, memory"),
    BadText("[reserve]\npids = 5", "2:1: unknown key 'reserve.pids'", hint: "known here"),
    BadText("[reserve]\nmemory = -1", "2:10: reserve.memory: expected a size"),
    BadText("a b", "1:3: syntax error"),
  ])
  func refuses(bad: BadText) {
    let error = #expect(throws: SliceError.self) {
      try NodePolicyFile.parse(text: bad.text, fileName: "node.toml")
    }
    check(error, bad, "node.toml", sourceLocation: #_sourceLocation)
  }
}
