import SystemTestSupport
import Testing

extension ServiceTests {
  @Suite(.tags(.service)) struct NameService {
    /// A name server that the node's policy gives to slices, and one that does not answer as the
    /// control.
    @Test(.requiresProgram("/usr/sbin/dnsmasq")) func namesAreFound() throws {
      let policy = """
        [network]
        pool4 = "10.91.0.0/16"
        name-servers = ["10.91.0.1"]
        """
      try withNode(.init(policy: policy)) { node in
        try node.succeed("create", "client", "--image", "host")
        try node.succeed("create", "small", "--image", "minimal")
        #expect(try node.execute("client", "cat", "/etc/resolv.conf") == "nameserver 10.91.0.1")
        let nobody = try node.slicectl("exec", "client", "--", "getent", "hosts", "service.test")
        #expect(nobody.status == 2)
        let configuration = try node.file(
          "dnsmasq.conf",
          "bind-dynamic\nno-resolv\nno-hosts\naddress=/service.test/192.0.2.7\n"
            + "address=/service.test/2001:db8::7\n")
        let server = try node.host.start([
          "dnsmasq", "--keep-in-foreground", "--user=root", "--pid-file",
          "--conf-file=" + configuration,
        ])
        #expect(
          try eventually {
            try node.slicectl("exec", "client", "--", "getent", "ahostsv4", "service.test").output
              .hasPrefix("192.0.2.7 ")
          })
        #expect(try node.execute("small", "nslookup", "service.test").contains("192.0.2.7"))
        #expect(try node.execute("small", "cat", "/etc/hosts").contains("small"))
        #expect(server.isRunning)
      }
    }

    /// A server on the host's own loopback is no use to a slice, whose loopback is another.
    @Test func theHostsLoopbackIsNotOffered() throws {
      try withNode { node in
        try node.succeed("create", "alone", "--image", "minimal")
        let resolver = try node.execute("alone", "cat", "/etc/resolv.conf")
        #expect(!resolver.contains("nameserver 127."))
        #expect(resolver.contains("nameserver ") || resolver.hasPrefix("# this node has no name"))
      }
    }
  }
}
