import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// Programs that people use the network with, between a slice and another site.
extension ServiceTests {
  @Suite(.serialized, .tags(.service)) struct Peers {
    private static let sites = [
      (host: Sites.host4, peer: Sites.peer4), (host: Sites.host6, peer: Sites.peer6),
    ]

    // MARK: - Published services

    @Test(.requiresProgram("/usr/sbin/nginx")) func nginxIsReadFromTheOtherSite() throws {
      try withSites { node, sites in
        let configuration = """
          daemon off; worker_processes 2; pid /run/nginx.pid; error_log stderr; user nobody nogroup;
          events { worker_connections 256; }
          http {
            access_log /dev/stdout;
            client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
            uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
            server { listen 80; listen [::]:80; root /srv; }
          }
          """
        try node.succeed(
          "create", "web", "--image", "host", "--set", "net.publish=8080:80/tcp", "--", "sh", "-c",
          "echo 'hello from a slice' >/srv/index.html; printf '%s' \"$0\" >/etc/nginx.conf; "
            + "mkdir -p /var/log/nginx; exec nginx -c /etc/nginx.conf", configuration)
        for (host, peer) in Self.sites {
          let url = "http://\(host.contains(":") ? "[\(host)]" : host):8080/"
          let answers = try eventually(within: 20) {
            try sites.run(.peer, "curl", "-sgf", "-m", "5", url).output == "hello from a slice\n"
          }
          #expect(answers, "\(url)")
          // The server sees who came.
          #expect(
            try eventually(within: 5) {
              try node.succeed("logs", "web").contains("\(peer) - - ")
            })
        }
      }
    }

    @Test(.requiresProgram("/usr/bin/iperf3")) func iperf3RunsBothWays() throws {
      try withSites { node, sites in
        let port = "5201"
        try node.succeed(
          "create", "server", "--image", "host", "--set",
          "net.publish=\(port):\(port)/tcp,\(port):\(port)/udp", "--", "iperf3", "-s")
        try node.succeed("create", "client", "--image", "host")
        let there = try sites.start(.peer, "iperf3", "-s")
        defer { there.signal(SIGKILL) }
        for (host, peer) in Self.sites {
          for options in [[], ["-R"], ["-u", "-b", "20M"], ["-u", "-b", "20M", "-R"]] {
            let command = ["iperf3", "-n", "1M", "--connect-timeout", "3000"] + options
            try Self.expectTraffic(options) {
              try node.host.run(sites.command(.peer, command + ["-c", host]))
            }
            try Self.expectTraffic(options) {
              try node.slicectl(["exec", "client", "--"] + command + ["-c", peer])
            }
          }
        }
      }
    }

    private static func expectTraffic(
      _ options: [String], _ run: () throws -> CommandResult
    ) throws {
      var last: CommandResult?
      // A server that serves somebody, or has just begun, says that it is busy.
      let through = try eventually(within: 20) {
        last = try run()
        return last?.status == 0
      }
      #expect(through, "\(options): \(last.map { "\($0)" } ?? "")")
      #expect(last?.output.contains("receiver") == true)
    }

    // MARK: - Clients in a slice

    @Test(.requiresProgram("/usr/sbin/sshd"), .requiresProgram("/usr/bin/ssh"))
    func sshGoesOutAndComesIn() throws {
      try withSites { node, sites in
        let place = node.directory + "/ssh"
        // What Debian's sshd is confined to before somebody is known (ssh's privilege separation).
        let empty = "/run/sshd"
        if mkdir(empty, 0o755) == 0 { atexit { rmdir("/run/sshd") } }
        let made = try node.host.run([
          "sh", "-ec",
          """
          mkdir -p '\(place)'
          ssh-keygen -q -t ed25519 -N '' -f '\(place)/host'
          ssh-keygen -q -t ed25519 -N '' -f '\(place)/user'
          """,
        ])
        try #require(made.status == 0, "\(made)")
        let (key, allowed) = (HostFiles.text(place + "/user"), HostFiles.text(place + "/user.pub"))
        try HostFiles.write(allowed, to: place + "/allowed")
        let server = try sites.start(
          .peer, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", "22", "-h", place + "/host",
          "-o", "AuthorizedKeysFile=\(place)/allowed", "-o", "StrictModes=no", "-o", "PidFile=none")
        defer { server.signal(SIGTERM) }
        let options =
          "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
          + " -o ConnectTimeout=5 -o BatchMode=yes"

        // A slice that serves ssh, with keys of its own.
        try node.succeed(
          "create", "box", "--image", "host", "--set", "net.publish=2222:22/tcp", "--", "sh", "-ec",
          """
          mkdir -p /run/sshd /root/.ssh
          echo 'sshd:x:110:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
          ssh-keygen -q -t ed25519 -N '' -f /root/host
          echo "$0" >/root/.ssh/authorized_keys
          exec /usr/sbin/sshd -D -e -f /dev/null -h /root/host -o StrictModes=no
          """, allowed)
        _ = try node.slicectl(
          "exec", "box", "-i", "--", "sh", "-c", "umask 077; cat >/root/key", input: key)
        for (host, peer) in Self.sites {
          let out = try node.slicectl(
            "exec", "box", "--", "sh", "-c",
            "ssh \(options) -i /root/key root@\(peer) 'echo $SSH_CLIENT'")
          #expect(out.output.hasPrefix(host + " "), "masqueraded: \(out)")
          var entered: CommandResult?
          let comes = try eventually(within: 15) {
            entered = try sites.run(
              .peer, "sh", "-c",
              "ssh \(options) -i \(place)/user -p 2222 root@\(host) 'hostname; echo $SSH_CLIENT'")
            return entered?.status == 0
          }
          #expect(comes, "\(entered.map { "\($0)" } ?? "")")
          #expect(entered?.output.hasPrefix("box\n\(peer) ") == true, "\(entered!)")
        }
      }
    }

    @Test(.requiresProgram("/usr/sbin/dnsmasq"), .requiresProgram("/usr/bin/dig"))
    func digAsksAResolver() throws {
      try withSites { node, sites in
        let names = try node.file(
          "dnsmasq.conf",
          "bind-dynamic\nno-resolv\nno-hosts\naddress=/service.test/192.0.2.7\n"
            + "address=/service.test/2001:db8::7\ntxt-record=long.test,\(String(repeating: "x", count: 200))\n"
        )
        let server = try sites.start(
          .peer, "dnsmasq", "--keep-in-foreground", "--user=root", "--pid-file",
          "--conf-file=" + names)
        defer { server.signal(SIGKILL) }
        try node.succeed("create", "client", "--image", "host")
        for (_, peer) in Self.sites {
          for (options, answer) in [
            (["service.test", "A"], "192.0.2.7"), (["service.test", "AAAA"], "2001:db8::7"),
            (["+tcp", "service.test", "A"], "192.0.2.7"),
            (["long.test", "TXT"], "\"\(String(repeating: "x", count: 200))\""),
          ] {
            #expect(
              try eventually(within: 10) {
                try node.slicectl(
                  ["exec", "client", "--", "dig", "+short", "+time=2", "+tries=1", "@\(peer)"]
                    + options
                ).output == answer + "\n"
              }, "\(options) of \(peer)")
          }
        }
      }
    }

    /// What a slice without raw sockets can do: ping by ICMP echo sockets, traceroute by UDP, whose
    /// errors the kernel hands to the socket (IP_RECVERR).
    @Test(.requiresProgram("/usr/bin/ping"), .requiresProgram("/usr/bin/traceroute.db"))
    func pingAndTracerouteSeeTheWay() throws {
      try withSites { node, _ in
        try node.succeed("create", "client", "--image", "host")
        for (hops, peer) in [
          (["172.31.128.1", Sites.near4, Sites.far4, Sites.peer4], Sites.peer4),
          (["fd73:6c69:6365::1", Sites.near6, Sites.far6, Sites.peer6], Sites.peer6),
        ] {
          let echo = try node.slicectl(
            "exec", "client", "--", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", peer)
          #expect(echo.output.contains(" 0% packet loss"), "\(echo)")
          let far = try node.slicectl(
            "exec", "client", "--", "ping", "-n", "-c", "1", "-t", "2", "-W", "2", peer)
          #expect(far.output.contains(hops[1]), "the router that the time ends at: \(far)")
          let trace = try node.slicectl(
            "exec", "client", "--", "traceroute.db", "-n", "-q", "1", "-w", "2", peer)
          let seen = trace.output.split(separator: "\n").dropFirst().compactMap {
            $0.split(separator: " ").dropFirst().first.map(String.init)
          }
          #expect(seen == hops, "\(trace)")
        }
      }
    }

    // MARK: - A smaller link on the way

    @Test(.requiresProgram("/usr/bin/tracepath"), arguments: [1280, 1400])
    func theMTUOfThePathIsFound(mtu: Int) throws {
      try withSites(mtu: mtu) { node, sites in
        let size = 300_000
        // Sends so many bytes to whoever comes, and says how many came in turn.
        let server = """
          import os, socket
          s = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
          print("ready", flush=True)
          while True:
              c = s.accept()[0]
              if os.fork(): c.close(); continue
              c.settimeout(10)
              c.sendall(b"x" * \(size)); c.shutdown(1)
              n = 0
              while data := c.recv(65536): n += len(data)
              print(n, flush=True); os._exit(0)
          """
        let client = """
          import socket, sys
          with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as c:
              c.sendall(b"x" * \(size)); c.shutdown(1)
              n = 0
              while data := c.recv(65536): n += len(data)
              print(n)
          """
        try node.succeed(
          "create", "web", "--image", "host", "--set", "net.publish=8080:80/tcp", "--", "python3",
          "-c", server)
        #expect(try eventually(within: 20) { try node.succeed("logs", "web").contains("ready") })
        let there = try sites.start(.peer, "python3", "-c", server)
        defer { there.signal(SIGKILL) }
        try #require(eventually { there.output.contains("ready") })
        for (host, peer) in Self.sites {
          // Nothing larger passes: the control.
          let family = peer.contains(":") ? "-6" : "-4"
          let over = mtu - (peer.contains(":") ? 48 : 28) + 1
          let large = try sites.run(
            .near, "ping", family, "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "\(over)", peer)
          #expect(large.status != 0, "\(large)")

          let goes = try node.slicectl(
            "exec", "web", "--", "python3", "-c", client, peer, "80", timeout: 30)
          #expect(goes.output == "\(size)\n", "\(peer): \(goes)")
          let comes = try sites.run(.peer, "python3", "-c", client, host, "8080", timeout: 30)
          #expect(comes.output == "\(size)\n", "\(host): \(comes)")

          let route = try node.execute("web", "ip", "route", "get", peer)
          #expect(route.contains("mtu \(mtu)"), "\(route)")
          let path = try node.slicectl("exec", "web", "--", "tracepath", "-n", "-m", "6", peer)
          #expect(path.output.contains("pmtu \(mtu)"), "\(path)")
        }
        #expect(
          try eventually(within: 10) {
            try node.succeed("logs", "web").split(separator: "\n").count { $0.hasSuffix("\(size)") }
              >= Self.sites.count
          }, "all of what the peer sent came in")
      }
    }
  }
}
