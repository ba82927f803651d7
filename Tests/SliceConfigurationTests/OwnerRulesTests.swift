import SliceConfiguration
import SliceModel
import Testing

/// The tables of node.toml that say what owners may have.
@Suite struct OwnerRulesTests {
  private func parse(_ text: String) throws -> NodePolicy {
    try NodePolicyFile.parse(text: text, fileName: "node.toml")
  }

  @Test func readsEveryKey() throws {
    let policy = try parse(
      """
      [defaults]
      pids.max = 4096
      memory = { max = "1G" }
      lease = "30d"
      [owners."@web"]
      slices = 3
      [owners."*"]
      slices = 20
      cpu.weight = 20000
      cpu.max = "350%"
      memory.min = "512M"
      memory.max = "8G"
      disk.files.max = 100000
      net.max = "10M"
      images = ["minimal", "host", "web-*", "*"]
      grants = ["icmp", "observe"]
      networks = ["10.1.0.0/16", "53/udp"]
      ports = ["443", "53/udp", "8000-8999/tcp"]
      lease = "30d"
      [owners.4243]
      [owners.alice]
      [lease]
      grace = "0s"
      warning = "12h"
      """)
    #expect(
      policy.defaults.texts == ["pids.max": "4096", "memory.max": "1G", "lease": "30d"])
    #expect(policy.owners.map(\.subject) == ["@web", "*", "4243", "alice"])
    var bounds = OwnerBounds()
    bounds.slices = 20
    bounds.sums = [
      .cpuWeight: 20_000, .cpuMax: 3500, .memoryMin: 512 << 20, .memoryMax: 8 << 30,
      .diskFilesMax: 100_000, .netMax: 10_000_000,
    ]
    bounds.images = ["minimal", "host", "web-*", "*"]
    bounds.grants = ["icmp", "observe"]
    bounds.networks = ["10.1.0.0/16", "53/udp"].compactMap(NetworkAllowance.init)
    bounds.ports = [
      PortRange(ports: 443...443), PortRange(ports: 53...53, transport: .udp),
      PortRange(ports: 8000...8999, transport: .tcp),
    ]
    bounds.longestLease = TimeSpan("30d")
    #expect(policy.owners[1].bounds == bounds)
    #expect(policy.owners[3].bounds == OwnerBounds())
    #expect(policy.lease.grace == TimeSpan("0s"))
    #expect(policy.lease.warning == TimeSpan("12h"))
  }

  @Test(arguments: [
    BadText("[defaults]\npids.maxx = 1", "2:6: unknown key 'defaults.pids.maxx'"),
    BadText("[defaults]\nimage = \"host\"", "2:1: unknown key 'defaults.image'"),
    BadText("[defaults]\npids.max = 1", "2:12: defaults.pids.max: pids.max=1 is not valid"),
    BadText("[defaults]\nmemory = { min = \"2G\", max = \"1G\" }", "memory.min=2G is above"),
    BadText("owners = 1", "1:10: owners: expected a table, found 1"),
    BadText("[owners.\"a/b\"]", "owners: 'a/b' is neither a user nor a group"),
    BadText("[owners.042]", "owners: '042' is neither a user nor a group"),
    BadText("[owners.\"@\"]", "owners: '@' is neither a user nor a group", hint: "\"@GROUP\""),
    BadText("[owners.\"*\"]\nslices = -1", "2:10: owners.*.slices: expected a whole number"),
    BadText(
      "[owners.\"*\"]\ncpu.set = \"0\"", "2:5: unknown key 'owners.*.cpu.set'"),
    BadText("[owners.\"*\"]\nimage = []", "unknown key 'owners.*.image'", hint: "'images'"),
    BadText("[owners.\"*\"]\nmemory.max = \"8X\"", "2:14: owners.*.memory.max: expected a size"),
    BadText("[owners.\"*\"]\nimages = [\"w*b\"]", "owners.*.images: expected names of images"),
    BadText("[owners.\"*\"]\ngrants = [\"root\"]", "owners.*.grants: expected words of observe"),
    BadText("[owners.\"*\"]\nports = 443", "2:9: owners.*.ports: expected an array of ports"),
    BadText("[owners.\"*\"]\nports = [443]", "owners.*.ports: expected a port or a range"),
    BadText("[owners.\"*\"]\nports = [\"0\"]", "expected a port or a range of ports"),
    BadText("[owners.\"*\"]\nports = [\"9-8\"]", "expected a port or a range of ports"),
    BadText("[owners.\"*\"]\nports = [\"1/sctp\"]", "expected a port or a range of ports"),
    BadText("[owners.\"*\"]\nlease = \"0s\"", "owners.*.lease: expected a time"),
    BadText(
      "[owners.\"*\"]\nnetworks = [\"10.1.2.3/24\"]", "owners.*.networks[0]: expected networks"),
    BadText(
      "[owners.\"*\"]\n\"memory.max\" = 1\nmemory = { max = 2 }", "owners.*.memory.max is set twice"
    ),
    BadText("[lease]\ngrace = \"1y\"", "2:9: lease.grace: expected a time"),
    BadText("[lease]\nlength = \"1d\"", "2:1: unknown key 'lease.length'"),
  ])
  func refuses(bad: BadText) {
    let error = #expect(throws: SliceError.self) { try parse(bad.text) }
    #expect(error?.code == .usage)
    let end = bad.message.split(separator: ":").last.map(String.init) ?? bad.message
    #expect(error?.message.contains(end) == true, "\(String(describing: error))")
    if let hint = bad.hint { #expect(error?.hint?.contains(hint) == true) }
  }
}
