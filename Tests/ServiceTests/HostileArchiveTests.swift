import SystemTestSupport
import Testing

extension ServiceTests {
  /// Rows 5 to 7 of the threats that slices must stand, as far as images bring them.
  @Suite(.tags(.image, .hostile)) struct HostileArchives {
    struct Case: Sendable, CustomTestStringConvertible {
      var testDescription: String
      var add: @Sendable (inout Archive) -> Void
      /// Part of the message.
      var refusal: String
      init(_ title: String, _ refusal: String, _ add: @escaping @Sendable (inout Archive) -> Void) {
        testDescription = title
        self.refusal = refusal
        self.add = add
      }
    }

    /// An archive with a shell, and what a case adds.
    private static func archive(_ add: (inout Archive) -> Void) throws -> [UInt8] {
      var archive = Archive()
      archive.add("bin", .directory)
      let shell = try Command.run(["cat", Host.programs + "/busybox"]).outputBytes
      archive.add("bin/sh", .file, content: shell)
      add(&archive)
      return archive.finished
    }

    private static func importing(_ bytes: [UInt8], _ node: TestNode) throws -> CommandResult {
      try Command.run(
        node.slicectlCommand(["image", "import", "-", "--name", "bad"]), input: bytes)
    }

    static let refused: [Case] = [
      Case("a name with ..", "\"..\" component") { $0.add("../outside", .file, content: [1]) },
      Case(".. in the middle", "\"..\" component") {
        $0.add("bin/../../outside", .file, content: [1])
      },
      Case("an absolute name", "absolute") { $0.add("/outside", .file, content: [1]) },
      Case("a hard link outward", "hard link") {
        $0.add("shadow", .hardLink, link: "../../../../etc/shadow")
      },
      Case("an absolute hard link", "hard link") {
        $0.add("shadow", .hardLink, link: "/etc/shadow")
      },
      Case("a file through a link outward", "symbolic link") {
        $0.add("way", .symbolicLink, link: "/tmp")
        $0.add("way/outside", .file, content: [1])
      },
    ]

    @Test(arguments: refused) func areRefused(_ attack: Case) throws {
      try withImages { node in
        let result = try Self.importing(Self.archive(attack.add), node)
        #expect(result.status == 1)
        #expect(result.errors.contains(attack.refusal), "\(result)")
        #expect(result.errors.contains("nothing was imported"))
        #expect(HostFiles.list(node.state + "/images").count == 2)  // host and minimal
        #expect(HostFiles.tree(node.directory).allSatisfy { !$0.hasSuffix("/outside") })
        #expect(!HostFiles.exists("/tmp/outside") && !HostFiles.exists("/outside"))
        // The positive control: without the attack the same archive is an image.
        #expect(try Self.importing(Self.archive { _ in }, node).status == 0)
      }
    }

    /// Links and files where a slice needs a directory: no mount goes elsewhere.
    @Test(arguments: ["dev", "proc", "sys", "tmp", "run"], ["/etc", "..", "bin", nil])
    func placesOfMounts(place: String, link: String?) throws {
      try withImages { node in
        let archive = try Self.archive {
          if let link {
            $0.add(place, .symbolicLink, link: link)
          } else {
            $0.add(place, .file, content: [1])
          }
        }
        #expect(try Self.importing(archive, node).status == 0)
        let mounts = HostFiles.text("\(node.host.proc)/1/mountinfo")
        let result = try node.slicectl(
          "create", "bad", "--image", "bad", "--", "/bin/sh", "-c", "sleep 1000")
        #expect(result.status == 1)
        #expect(result.errors.contains("/" + place), "\(result)")
        #expect(result.errors.contains("a link or a file where a slice needs a directory"))
        #expect(HostFiles.text("\(node.host.proc)/1/mountinfo") == mounts)
        #expect(try node.state(of: "bad") == nil)
      }
    }

    /// What is contained: /etc as a link or a file is covered by the slice's own, devices are left
    /// out, set-user-id bits have no effect.
    @Test func areContained() throws {
      try withImages { node in
        let archive = try Self.archive {
          $0.add("etc", .symbolicLink, link: "/tmp")
          $0.add("disk", .blockDevice)
          $0.add("setuid", .directory)
          $0.add("setuid/sh", .hardLink, link: "bin/sh", mode: 0o4755)
          $0.add("fifo", .fifo)
          $0.add("outward", .symbolicLink, link: "../../../../../../etc/machine-id")
        }
        #expect(try Self.importing(archive, node).status == 0)
        try node.succeed("create", "box", "--image", "bad", "--", "/bin/sh", "-c", "sleep 1000")
        let hosts = try node.execute(
          "box", "/bin/sh", "-c", "cat /etc/hosts; test -L /etc || echo own")
        #expect(hosts.contains("box") && hosts.hasSuffix("own"))
        #expect(
          try node.slicectl("exec", "box", "--", "/bin/sh", "-c", "test -e /disk").status == 1)
        #expect(try node.slicectl("exec", "box", "--", "/bin/sh", "-c", "cat /outward").status == 1)
        let user = try node.slicectl(
          "exec", "--user", "1000", "box", "--", "/setuid/sh", "-c", "id -u")
        #expect(user.output == "1000\n", "\(user)")
      }
    }

    @Test func damagedArchives() throws {
      try withImages { node in
        let whole = try Self.archive { _ in }
        for (bytes, words) in [
          (Array(whole.prefix(whole.count / 2)), "cut off"),
          ((0..<5000).map { _ in UInt8.random(in: 0...255) }, "not a tar archive"),
          ([], "empty"),
        ] {
          let result = try Self.importing(bytes, node)
          #expect(result.status == 1)
          #expect(result.errors.contains(words), "\(result)")
        }
        #expect(HostFiles.list(node.state + "/images").count == 2)
      }
    }
  }
}
