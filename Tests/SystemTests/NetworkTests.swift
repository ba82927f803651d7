import SliceModel
import SystemTestSupport
import Testing

/// Addresses of its own, reachable from the host and from other slices.
@Suite(.requiresSlices) struct NetworkTests {
  private func addresses(_ node: TestNode, _ name: String) throws -> (v4: String, v6: String) {
    let slice = try node.json("list").array?.first { $0["name"].string == name }
    return (try #require(slice?["ipv4"].string), try #require(slice?["ipv6"].string))
  }

  /// A service that answers any number of TCP connections on port 80.
  private static let server = [
    "sh", "-c",
    "mkdir -p /tmp/www && echo it works >/tmp/www/index.html && exec httpd -f -p '[::]:80' -h /tmp/www",
  ]

  /// Links that a slice has, less those that kernels with such tunnels built in put into every
  /// namespace (net.core.fb_tunnels_only_for_init_net).
  private func links(_ node: TestNode, _ slice: String) throws -> [String] {
    try node.shell(slice, "ls /sys/class/net").split(separator: "\n").map(String.init)
      .filter { !["sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0"].contains($0) }
  }

  /// An HTTP answer, seen from a slice. Not by busybox's wget: Debian's static one faults in
  /// getaddrinfo, outside of slices too.
  private func get(
    _ node: TestNode, from slice: String, _ address: String, _ port: Int
  ) throws -> String {
    try node.slicectl(
      "exec", slice, "-i", "--", "nc", "-w", "5", address, "\(port)",
      input: "GET / HTTP/1.0\r\n\r\n"
    ).output
  }

  @Test func theHostAndOtherSlicesReachIt() throws {
    try withNode { node in
      try node.create("web", command: Self.server)
      try node.create("client")
      let web = try addresses(node, "web")
      for (address, url) in [(web.v4, "http://\(web.v4)/"), (web.v6, "http://[\(web.v6)]/")] {
        let answers = try eventually(within: 20) {
          try node.host.run(["curl", "-sf", "-m", "5", url]).output == "it works\n"
        }
        #expect(answers, "\(url) from the host")
        #expect(try get(node, from: "client", address, 80).contains("it works"), "\(address)")
      }
    }
  }

  @Test func theHostAnswersAtItsGatewaysAfterARestartOfTheSupervisor() throws {
    try withNode { node in
      try node.create("client")
      for restarted in [false, true] {
        if restarted {
          node.crashSupervisor()
          try node.startSupervisor()
        }
        for family in ["-4", "-6"] {
          let gateway = try node.shell(
            "client", "ip \(family) route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'")
          #expect(
            try node.host.run(["ip", "route", "get", gateway]).output.hasPrefix("local"),
            "\(gateway), restarted: \(restarted)")
        }
      }
    }
  }

  @Test func theServiceSeesItsOwnLinkAlone() throws {
    try withNode { node in
      try node.create("web")
      try node.create("other")
      let web = try addresses(node, "web")
      #expect(try links(node, "web") == ["eth0", "lo"])
      let shown = try node.shell("web", "ip address")
      #expect(shown.contains(web.v4) && shown.contains(web.v6))
      #expect(!shown.contains(try addresses(node, "other").v4))
      #expect(try node.shell("web", "cat /etc/resolv.conf; cat /etc/hosts").contains("web"))
    }
  }

  @Test func lowPortsAreTheServices() throws {
    try withNode { node in
      try node.create("web")
      let result = try node.slicectl(
        "exec", "web", "--user", "1000", "--", "timeout", "1", "nc", "-l", "-p", "80")
      #expect(!result.errors.contains("ermission"), "\(result)")
    }
  }

  @Test func withoutANetworkThereIsLoopbackAlone() throws {
    try withNode { node in
      try node.create("box", "--set", "net.mode=none")
      #expect(try links(node, "box") == ["lo"])
      #expect(try node.json("list").array?.first?["ipv4"] == .null)
    }
  }

  @Test func theRootOfASliceChangesNothingOfItsNetwork() throws {
    try withNode { node in
      try node.create("web")
      for command in [
        "ip address add 10.1.2.3/32 dev lo", "ip link set lo down",
        "ip route add 10.9.9.0/24 dev lo",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
      ] {
        let result = try node.slicectl("exec", "web", "--", "sh", "-c", command)
        #expect(result.status != 0, "\(command): \(result)")
      }
    }
  }
}
