import SystemTestSupport
import Testing

extension ServiceTests {
  /// The host's own programs as services.
  @Suite(.tags(.service)) struct HostImage {
    /// The first thing an owner does.
    @Test(.requiresProgram("/usr/bin/python3")) func mainJob() throws {
      try withNode { node in
        let created = try node.succeed(
          "create", "web", "--image", "host", "--set", "cpu.weight=200", "--set",
          "memory.max=256M", "--set", "pids.max=64", "--", "python3", "-m", "http.server", "8080")
        #expect(created.contains("web: running"))
        // http.server listens on IPv4 alone.
        let ipv4 = try node.addresses(of: "web").ipv4
        #expect(try node.get("http://\(ipv4):8080/").contains("Directory listing"))
        #expect(
          try eventually { try node.slicectl("logs", "web").errors.contains("GET / HTTP/1.1") })
        #expect(try node.execute("web", "hostname") == "web")
        #expect(try node.execute("web", "id", "-u") == "0")
        // None of the host's data is there.
        for path in ["/etc/shadow", "/root/.ssh", "/home/", "/var/lib/dpkg"] {
          let seen = try node.slicectl("exec", "web", "--", "ls", "-A", path)
          #expect(seen.output.isEmpty, "\(path): \(seen)")
        }
        try node.succeed("stop", "web")
        #expect(try node.state(of: "web") == "stopped")
        #expect(try node.host.run(["curl", "-s", "-m", "1", "http://\(ipv4):8080/"]).status != 0)
        try node.succeed("start", "web")
        #expect(try node.get("http://\(ipv4):8080/").contains("Directory listing"))
      }
    }

    /// As Debian packages it: the main process ends at once, master and workers stay; then in the
    /// foreground. Workers run as www-data. The configuration comes with the slice.
    @Test(.requiresProgram("/usr/sbin/nginx"), arguments: [true, false])
    func nginx(asDaemon: Bool) throws {
      let configuration = """
        user www-data;
        worker_processes 2;
        daemon \(asDaemon ? "on" : "off");
        pid /run/nginx.pid;
        error_log stderr;
        events { worker_connections 64; }
        http {
          access_log /dev/stdout;
          server {
            listen 80;
            listen [::]:80;
            location / { return 200 "hello from $hostname\\n"; }
          }
        }
        """
      try withNode { node in
        try node.succeed(
          "create", "web", "--image", "host", "--set", "memory.max=128M", "--env",
          "NGINX_CONF=" + configuration, "--", "sh", "-c",
          """
          mkdir -p /var/lib/nginx /var/log/nginx
          printf %s "$NGINX_CONF" >/etc/nginx.conf
          exec nginx -c /etc/nginx.conf
          """)
        let (ipv4, ipv6) = try node.addresses(of: "web")
        #expect(try node.get("http://\(ipv4)/") == "hello from web\n")
        #expect(try node.get("http://[\(ipv6)]/") == "hello from web\n")
        try node.succeed("create", "client", "--image", "host")
        for url in ["http://\(ipv4)/", "http://[\(ipv6)]/"] {
          #expect(
            try node.execute("client", "curl", "-s", "-g", "-m", "5", url) == "hello from web")
        }
        #expect(try node.state(of: "web") == "running")
        #expect(try node.processes(in: "web").filter { $0.name.hasPrefix("nginx") }.count == 3)
        #expect(
          try node.execute("web", "ps", "-C", "nginx", "-o", "user=").contains("www-data"))
        #expect(try eventually { try node.slicectl("logs", "web").output.contains("curl/") })
        // A master that was adopted is stopped as well as one that was started.
        let begin = MonotonicTime.now
        try node.succeed("stop", "--timeout", "10", "web")
        #expect(MonotonicTime.now - begin < 9)
        #expect(try node.json("inspect", "web")["lastExit"]["stopped"].bool == true)
      }
    }

    /// Threads, forks to save, and keeps its data over a restart.
    @Test(.requiresProgram("/usr/bin/redis-server")) func redis() throws {
      try withNode { node in
        try node.succeed(
          "create", "redis", "--image", "host", "--workdir", "/var/lib", "--set",
          "memory.max=256M", "--", "redis-server", "--protected-mode", "no")
        let (ipv4, ipv6) = try node.addresses(of: "redis")
        func ask(_ words: String...) throws -> String {
          try node.host.run(["redis-cli", "-h", ipv4] + words).output
        }
        #expect(try eventually { try ask("ping") == "PONG\n" })
        #expect(try ask("set", "answer", "41") == "OK\n")
        try node.succeed("create", "client", "--image", "host")
        #expect(try node.execute("client", "redis-cli", "-h", ipv6, "incr", "answer") == "42")
        #expect(try ask("bgsave").contains("Background saving started"))
        #expect(
          try eventually { try ask("info", "persistence").contains("rdb_bgsave_in_progress:0") })
        #expect(try ask("info", "persistence").contains("rdb_last_bgsave_status:ok"))
        try node.succeed("stop", "redis")
        #expect(try node.json("inspect", "redis")["lastExit"]["exitCode"].integer == 0)
        try node.succeed("start", "redis")
        #expect(try eventually { try ask("get", "answer") == "42\n" })
      }
    }

    /// A service that has an account of its own, and refuses to be root.
    @Test(.requiresProgram("/usr/lib/postgresql/15/bin/postgres")) func postgres() throws {
      try withNode { node in
        try node.succeed(
          "create", "db", "--image", "host", "--", "sh", "-ec",
          """
          id postgres >/dev/null 2>&1 ||
            useradd --system --create-home --home-dir /var/lib/pg postgres
          cd /var/lib/pg
          exec su postgres -s /bin/sh -c '
            bin=/usr/lib/postgresql/15/bin
            test -d data || $bin/initdb -D data >/dev/null
            exec $bin/postgres -D data -k /tmp'
          """)
        func ask(_ statement: String) throws -> String {
          let program = ["psql", "-h", "/tmp", "-U", "postgres", "-A", "-t", "-c", statement]
          return try node.slicectl(["exec", "--user", "postgres", "db", "--"] + program).output
        }
        #expect(try eventually(within: 60) { try ask("select 6 * 7") == "42\n" })
        #expect(
          try ask("create table t as select generate_series(1, 1000) n; select sum(n) from t")
            .hasSuffix("500500\n"))
      }
    }

    /// A slice without a command is a machine to work in: files come by `exec -i`, programs start
    /// beside each other and stay.
    @Test(.requiresProgram("/usr/bin/python3")) func aSliceToWorkIn() throws {
      try withNode { node in
        try node.succeed("create", "box", "--image", "host")
        try node.succeed(
          "exec", "-i", "box", "--", "sh", "-c", "mkdir -p /srv/www && cat >/srv/www/index.html",
          input: "put here\n")
        try node.succeed(
          "exec", "box", "--", "sh", "-c",
          "setsid python3 -m http.server -d /srv/www 80 >/dev/null 2>&1 </dev/null &")
        #expect(try node.get("http://\(node.addresses(of: "box").ipv4)/") == "put here\n")
      }
    }
  }
}
