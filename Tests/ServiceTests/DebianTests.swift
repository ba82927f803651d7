import SystemTestSupport
import Testing

extension ServiceTests {
  /// A whole distribution as an image.
  @Suite(
    .serialized, .tags(.service, .image),
    .enabled(if: DebianTree.obstacle == nil, "\(DebianTree.obstacle ?? "")"))
  struct Debian {
    static func withDebian(_ body: (TestNode) throws -> Void) throws {
      try withImages { node in
        try node.succeed("image", "import", DebianTree.archive, "--name", "debian", timeout: 120)
        try node.succeed("create", "deb", "--image", "debian")
        try body(node)
      }
    }

    @Test func packagesAndAccounts() throws {
      try Self.withDebian { node in
        #expect(try node.execute("deb", "apt-get", "--version").hasPrefix("apt "))
        #expect(try node.execute("deb", "dpkg", "-s", "bash").contains("install ok installed"))
        // Owners of files are the slice's own ids.
        #expect(
          try node.execute("deb", "stat", "-c", "%U:%G %a", "/etc/shadow") == "root:shadow 640")
        #expect(try node.execute("deb", "stat", "-c", "%U %a", "/usr/bin/passwd") == "root 4755")
        #expect(
          try node.execute("deb", "su", "-s", "/bin/sh", "www-data", "-c", "id -un") == "www-data")
        #expect(
          try node.execute("deb", "sh", "-c", "useradd -m eve && runuser -u eve -- id -un") == "eve"
        )
        // A package made and installed inside: dpkg changes owners, renames, and syncs.
        let built = try node.execute(
          "deb", "sh", "-ec",
          """
          mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/hello
          printf 'Package: hello\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@example.org>\\nDescription: x\\n' >/tmp/p/DEBIAN/control
          echo hi >/tmp/p/usr/share/hello/text
          dpkg-deb --root-owner-group -b /tmp/p /tmp/hello.deb >/dev/null
          apt-get install -y /tmp/hello.deb >/dev/null 2>&1
          cat /usr/share/hello/text
          dpkg -r hello >/dev/null
          """)
        #expect(built == "hi")
        // What is written stays in this slice.
        try node.succeed("create", "other", "--image", "debian")
        #expect(try node.slicectl("exec", "other", "--", "id", "eve").status == 1)
      }
    }

    /// A person at a terminal.
    @Test(.tags(.terminal)) func shellOnATerminal() throws {
      try Self.withDebian { node in
        let shell = try Terminal(node.slicectlCommand(["enter", "deb"]))
        let modes = shell.modes
        try shell.expect("# ")
        #expect(shell.modes != modes)  // raw: the slice's terminal does the work
        // Without colours and bracketed paste between the words.
        _ = try shell.run("bind 'set enable-bracketed-paste off'")
        #expect(try shell.run("tty").hasPrefix("/dev/pts/0"))
        #expect(try shell.run("stty size").hasPrefix("30 100"))
        shell.resize(rows: 41, columns: 133)
        #expect(try eventually { try shell.run("stty size").hasPrefix("41 133") })
        #expect(try shell.run("echo $TERM $USER $HOME $0").hasPrefix("xterm root /root"))

        // Ctrl-C ends the foreground, not the shell.
        shell.type("sleep 1000\r")
        #expect(try eventually { try Self.isRunning("sleep", "1000", node) })
        shell.type("\u{3}")
        try shell.expect("# ")
        #expect(try shell.run("echo status $?").hasPrefix("status 130"))
        // Ctrl-Z stops it, `fg` brings it back, `bg` and `kill` work on it.
        shell.type("sleep 2000\r")
        #expect(try eventually { try Self.isRunning("sleep", "2000", node) })
        shell.type("\u{1A}")
        #expect(try shell.expect("# ").contains("Stopped"))
        shell.type("fg\r")
        try shell.expect("sleep 2000")
        shell.type("\u{1A}")
        try shell.expect("Stopped")
        try shell.expect("# ")
        #expect(try shell.run("bg; jobs").contains("Running"))
        #expect(try shell.run("kill %1; wait %1; echo status $?").contains("status 143"))
        // Ctrl-\ and Ctrl-D reach their programs too.
        shell.type("cat\r")
        #expect(try eventually { try Self.isRunning("cat", nil, node) })
        shell.type("\u{4}")
        try shell.expect("# ")

        shell.type("exit 7\r")
        #expect(try shell.end() == 7)
        #expect(shell.modes == modes)
      }
    }

    private static func isRunning(_ name: String, _ argument: String?, _ node: TestNode) throws
      -> Bool
    {
      let wanted = ([name] + (argument.map { [$0] } ?? [])).map { $0 + "\0" }.joined()
      return ProcessTable.pids(proc: node.host.proc).contains {
        HostFiles.text("\(node.host.proc)/\($0)/cmdline") == wanted
      }
    }

    @Test(.tags(.terminal)) func twoShellsAndOtherUsers() throws {
      try Self.withDebian { node in
        let first = try Terminal(node.slicectlCommand(["enter", "deb"]))
        try first.expect("# ")
        let second = try Terminal(node.slicectlCommand(["enter", "--user", "www-data", "deb"]))
        try second.expect("$ ")
        #expect(try first.run("tty").contains("/dev/pts/"))
        let id = try second.run("id; tty", prompt: "$ ")
        #expect(id.contains("uid=33(www-data) gid=33(www-data) groups=33(www-data)"))
        #expect(id.contains("/dev/pts/"))
        // Its terminal is its own to open, and not the other's.
        #expect(try second.run("echo mine >$(tty)", prompt: "$ ").contains("mine"))
        #expect(try second.run("echo x >/dev/pts/0", prompt: "$ ").contains("ermission denied"))
        // One that goes takes nothing of the other.
        second.type("exit 0\r")
        #expect(try second.end() == 0)
        #expect(try first.run("echo still here").contains("still here"))
        first.type("\u{4}")
        #expect(try first.end() == 0)
        let nobody = try node.slicectl("enter", "--user", "nosuch", "deb")
        #expect(nobody.status == 125)
        #expect(nobody.errors.contains("no user 'nosuch'"))
      }
    }
  }

  @Suite(.tags(.terminal)) struct Terminals {
    /// Every byte, both ways.
    @Test(.requiresProgram("/usr/bin/od")) func eightBits() throws {
      try withNode { node in
        try node.succeed("create", "box", "--image", "host")
        let all = (0...255).map(UInt8.init)
        let digits = all.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let typed = try Terminal(
          node.slicectlCommand([
            "exec", "-i", "-t", "box", "--", "sh", "-c",
            "stty raw -echo; echo ready; head -c 256 | od -An -tx1 -v | tr -d ' \\n'; echo ready",
          ]))
        try typed.expect("ready\n")
        typed.type(all)
        #expect(try typed.expect("ready") == digits)
        #expect(try typed.end() == 0)
        // As printf(1) reads them: a backslash and three octal digits.
        let escapes = all.map { "\\" + String(0o1000 + Int($0), radix: 8).dropFirst() }.joined()
        let shown = try Terminal(
          node.slicectlCommand([
            "exec", "-t", "box", "--", "sh", "-c", "stty raw; printf '\(escapes)'",
          ]))
        #expect(try shown.end() == 0)
        #expect(shown.screen == all)
      }
    }

    /// A program of the whole screen; and a caller who hangs up ends what ran on the terminal.
    @Test(.requiresProgram("/usr/bin/less")) func wholeScreenAndHangUp() throws {
      try withNode { node in
        try node.succeed("create", "box", "--image", "host")
        var shell: Terminal? = try Terminal(node.slicectlCommand(["enter", "box"]))
        try shell?.expect("# ")
        shell?.type("seq 1 5000 | less\r")
        try shell?.expect("\u{1B}[?1049h")  // the alternate screen
        shell?.type("G")
        try shell?.expect("5000")
        shell?.type("q")
        try shell?.expect("\u{1B}[?1049l")
        try shell?.expect("# ")
        shell?.type("sleep 3000\r")
        func sleeps() throws -> Bool {
          try node.processes(in: "box").contains { $0.name == "sleep" }
        }
        #expect(try eventually { try sleeps() })
        shell = nil  // closes the terminal
        #expect(try eventually { try !sleeps() })
      }
    }
  }
}
