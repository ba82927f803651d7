import Descriptor
import Glibc
import SystemTestSupport
import Testing

extension ServiceTests {
  @Suite(.tags(.image)) struct Images {
    /// Runs a shell script in the node's directory, on the host.
    private static func prepare(_ node: TestNode, _ script: String) throws {
      let result = try Command.run(["sh", "-ec", "cd '\(node.directory)'\n" + script])
      guard result.status == 0 else { throw HarnessError("prepare: \(result)") }
    }

    /// A tree with a shell, as small as it gets.
    private static func makeTree(_ node: TestNode) throws {
      try prepare(
        node,
        """
        mkdir -p tree/bin tree/srv
        cp '\(Host.programs)/busybox' tree/bin/sh
        echo content >tree/srv/file
        ln -s file tree/srv/link
        ln tree/srv/file tree/srv/same
        chown 33:33 tree/srv/file
        """)
    }

    private static func names(_ node: TestNode) throws -> Set<String> {
      Set(try node.json("image", "list").array?.compactMap { $0["name"].string } ?? [])
    }

    /// Directories of the store, less the built-in ones.
    private static func stored(_ node: TestNode) -> [String] {
      HostFiles.list(node.state + "/images").filter {
        !$0.hasPrefix("host-") && !$0.hasPrefix("minimal-")
      }
    }

    @Test func formsOfArchives() throws {
      try withImages { node in
        try Self.makeTree(node)
        try Self.prepare(
          node,
          """
          tar -C tree --numeric-owner -cf plain.tar .
          gzip -k plain.tar && xz -k -0 plain.tar && zstd -q plain.tar
          """)
        let sources = ["tree", "plain.tar", "plain.tar.gz", "plain.tar.xz", "plain.tar.zst"]
        for (number, source) in sources.enumerated() {
          let answer = try node.succeed(
            "image", "import", node.directory + "/" + source, "--name", "form\(number)")
          // The name that was given, whatever others it has.
          #expect(answer.contains("--image form\(number)"))
          let name = "box\(number)"
          try node.succeed("create", name, "--image", "form\(number)")
          #expect(
            try node.execute(name, "/bin/sh", "-c", "cat /srv/link; stat -c '%u %h' /srv/file")
              == "content\n33 2")
        }
        // The same content is kept once.
        #expect(Self.stored(node).count == 1)
        #expect(try Self.names(node).isSuperset(of: (0..<5).map { "form\($0)" }))
      }
    }

    @Test func namesOfTheSameImage() throws {
      try withImages { node in
        try Self.makeTree(node)
        let tree = node.directory + "/tree"
        try node.succeed("image", "import", tree, "--name", "one")
        try node.succeed("image", "import", tree, "--name", "two")
        try node.succeed("create", "box", "--image", "two")
        // A name goes, the image stays for the other.
        try node.succeed("image", "remove", "one")
        #expect(try Self.names(node) == ["host", "minimal", "two"])
        // The last name is the image.
        let refused = try node.slicectl("image", "remove", "two")
        #expect(refused.status == 4)
        #expect(refused.errors.contains("used by box"))
        try node.succeed("destroy", "--force", "box")
        try node.succeed("image", "remove", "two")
        #expect(Self.stored(node).isEmpty)
        #expect(try node.slicectl("image", "remove", "two").status == 1)
        #expect(try node.slicectl("image", "remove", "host").status == 4)
      }
    }

    @Test(.requiresProgram("/usr/bin/umoci"), .requiresProgram("/usr/bin/skopeo"))
    func openContainerLayout() throws {
      try withImages { node in
        try Self.makeTree(node)
        try Self.prepare(
          node,
          """
          umoci init --layout one
          umoci new --image one:v1
          umoci unpack --image one:v1 bundle 2>/dev/null
          cp -a tree/. bundle/rootfs/
          umoci repack --image one:v1 bundle
          # A second layer takes away and adds.
          rm bundle/rootfs/srv/same
          echo more >bundle/rootfs/srv/more
          umoci repack --refresh-bundle --image one:v1 bundle
          umoci config --image one:v1 --config.cmd /bin/sh --config.cmd -c \\
            --config.cmd 'echo "$GREETING from $PWD:" *; exec sleep 1000' --config.env GREETING=hello \\
            --config.workingdir /srv
          skopeo copy -q oci:one:v1 oci:two:v2
          """)
        for layout in ["one", "two"] {
          try node.succeed("image", "import", node.directory + "/" + layout, "--name", layout)
          // Command, environment and directory are the image's.
          try node.succeed("create", layout + "-box", "--image", layout)
          #expect(
            try eventually {
              try node.slicectl("logs", layout + "-box").output
                == "hello from /srv: file link more\n"
            })
        }
        let wrong = try node.slicectl(
          "image", "import", node.directory + "/one", "--tag", "v9", "--name", "nine")
        #expect(wrong.status == 1)
        #expect(wrong.errors.contains("v9"))
      }
    }

    /// Only what the caller may read: never a part of it.
    @Test func unreadableFilesOfAUser() throws {
      try withImages { node in
        try Self.makeTree(node)
        try node.succeed(
          "image", "import", node.directory + "/tree", "--name", "fine", as: .alice)
        try Self.prepare(node, "echo secret >tree/srv/secret && chmod 600 tree/srv/secret")
        let result = try node.slicectl(
          "image", "import", node.directory + "/tree", "--name", "partial", as: .alice)
        #expect(result.status == 1)
        #expect(result.errors.contains("secret"))
        #expect(eventually { Self.stored(node).count == 1 })
        // Another may use it, and not remove it.
        #expect(try node.slicectl("image", "remove", "fine", as: .bob).status == 4)
        try node.succeed("image", "remove", "fine", as: .alice)
        #expect(Self.stored(node).isEmpty)
      }
    }

    /// A large archive, so that there is a middle to interrupt.
    private static func makeLargeArchive(_ node: TestNode) throws {
      try makeTree(node)
      try prepare(
        node,
        """
        mkdir tree/many
        for part in $(seq 1 60); do
          head -c 5000000 /dev/zero | tr '\\0' "$part" >tree/many/$part
        done
        tar -C tree -cf large.tar .
        """)
    }

    private static func importing(_ node: TestNode) -> Bool {
      stored(node).contains { $0.hasPrefix(".import-") }
    }

    @Test(arguments: [SIGINT, SIGTERM]) func interruptedByItsCaller(signal: Int32) throws {
      try withImages { node in
        try Self.makeLargeArchive(node)
        for source in ["large.tar", "tree"] {
          let job = try node.start(
            "image", "import", node.directory + "/" + source, "--name", "big")
          #expect(eventually { Self.importing(node) })
          job.signal(signal)
          let result = job.wait(seconds: 20)
          #expect(result.status == 128 + signal, "\(result)")
          #expect(eventually { Self.stored(node).isEmpty }, "\(Self.stored(node))")
        }
        #expect(try Self.names(node) == ["host", "minimal"])
        // The positive control: undisturbed it arrives.
        try node.succeed("image", "import", node.directory + "/large.tar", "--name", "big")
        #expect(try Self.names(node).contains("big"))
      }
    }

    @Test func interruptedByTheSupervisorsEnd() throws {
      // A supervisor's start touches the node's routes; what remains of the import is asked below.
      try withNode(checkLeftovers: false) { node in
        try Self.makeLargeArchive(node)
        let job = try node.start(
          "image", "import", node.directory + "/large.tar", "--name", "big")
        #expect(eventually { Self.importing(node) })
        node.crashSupervisor()
        let result = job.wait(seconds: 20)
        #expect(result.status == 6, "\(result)")
        #expect(Self.importing(node))
        try node.startSupervisor()
        #expect(Self.stored(node).isEmpty)
        #expect(try Self.names(node) == ["host", "minimal"])
      }
    }

    @Test(.tags(.terminal)) func progressOnATerminal() throws {
      try withImages { node in
        try Self.makeLargeArchive(node)
        let archive = node.directory + "/large.tar"
        let seen = try Terminal(
          node.slicectlCommand(["image", "import", archive, "--name", "big"]))
        #expect(try seen.end(within: 60) == 0)
        let screen = String(decoding: seen.screen, as: UTF8.self)
        #expect(screen.contains("importing [") && screen.contains("\r\u{1B}[K"))
        #expect(screen.contains("--image big"))
        let quiet = try node.slicectl("image", "import", archive, "--name", "big")
        #expect(quiet.errors.isEmpty)
      }
    }
  }
}
