import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What holds `disk.max`: quotas of the state's own file system, or an image.
enum StorageKind: String, CaseIterable, CustomTestStringConvertible {
  case quota, image

  var testDescription: String { rawValue }

  func options(_ policy: String = "") -> TestNode.Options {
    var options = TestNode.Options(policy: policy)
    options.storage = self == .quota ? .quotas(megabytes: 1024) : .ext4(megabytes: 1024)
    return options
  }
}

/// Quotas of slices. Where this kernel has none these run in the lab.
@Suite(.requiresSlices, .requiresQuotas) struct StorageTests {
  /// Runs a shell command in a slice whether or not it fails.
  private func attempt(_ node: TestNode, _ slice: String, _ script: String) throws -> CommandResult
  {
    try node.slicectl("exec", slice, "--", "sh", "-c", script)
  }

  /// A column of what `df` prints for the slice's root.
  private func df(_ node: TestNode, _ slice: String, _ options: String, _ column: Int) throws -> Int
  {
    let fields = try node.shell(slice, "df -P \(options) / | tail -n 1").split(separator: " ")
    return try #require(Int(fields[column]))
  }

  private func storage(_ node: TestNode, _ slice: String) throws -> JSONValue {
    try node.inspect(slice)["storage"]
  }

  @Test(arguments: StorageKind.allCases) func theBoundHolds(_ kind: StorageKind) throws {
    try withNode(kind.options()) { node in
      try node.create("web", "--set", "disk.max=100M")
      try node.create("neighbour", "--set", "disk.max=100M")
      #expect(try storage(node, "web")["mode"].string == kind.rawValue)
      let full = try attempt(node, "web", "dd if=/dev/zero of=/big bs=1M count=101")
      #expect(full.status != 0)
      #expect(full.errors.lowercased().contains("quota exceeded"), "\(full)")
      let size = try #require(Int(try node.shell("web", "stat -c %s /big")))
      #expect(size > 99 << 20 && size <= 100 << 20, "\(size) bytes of 100M were written")
      #expect(try attempt(node, "web", "echo x >/more").status != 0)
      // The neighbour writes on.
      _ = try node.shell("neighbour", "dd if=/dev/zero of=/big bs=1M count=99 conv=fsync")
      #expect(try df(node, "web", "-k", 1) == 100 << 10)
      #expect(try df(node, "web", "-k", 3) < 8)
      let report = try storage(node, "web")
      #expect(report["maxBytes"].integer == 100 << 20)
      #expect(report["usedBytes"].integer ?? 0 > 99 << 20)
      let shares = try node.json("shares", "web").array?.first
      #expect(shares?["disk"]["usedBytes"] == report["usedBytes"])
      #expect(
        try eventually(within: 20) {
          try node.json("events").array?.contains {
            $0["kind"].string == "over-quota" && $0["slice"].string == "web"
              && $0["details"]["limit"].string == "disk.max=100M"
          } ?? false
        })
      _ = try node.shell("web", "rm /big && echo x >/more")
      print("\(kind): disk.max=100M let \(size) bytes in")
    }
  }

  @Test(arguments: StorageKind.allCases) func filesAreBounded(_ kind: StorageKind) throws {
    try withNode(kind.options()) { node in
      try node.create("web", "--set", "disk.files.max=100")
      let made = try attempt(
        node, "web", "mkdir /d; for i in $(seq 200); do touch /d/$i || break; done; ls /d | wc -l")
      let count = try #require(Int(made.output.split(separator: "\n").last.map(String.init) ?? ""))
      // Those of the slice's own /etc and overlayfs's directories count too.
      #expect(count > 80 && count < 100, "\(made)")
      #expect(try df(node, "web", "-i", 1) == 100)
      #expect(try attempt(node, "web", "ln -s x /link").status != 0)
      #expect(try storage(node, "web")["usedFiles"].integer == 100)
    }
  }

  @Test(arguments: StorageKind.allCases) func theBoundChangesWhileTheSliceRuns(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      try node.create("web")
      _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=30")
      try node.succeed("set", "web", "disk.max=40M")
      #expect(try df(node, "web", "-k", 1) == 40 << 10)
      #expect(try attempt(node, "web", "dd if=/dev/zero of=/more bs=1M count=20").status != 0)
      try node.succeed("set", "web", "disk.max=60M", "disk.files.max=1000")
      _ = try node.shell("web", "dd if=/dev/zero of=/more bs=1M count=20")
      #expect(try df(node, "web", "-i", 1) == 1000)
      // Below what is used, together with what would be fine: nothing changes.
      let refused = try node.slicectl("set", "web", "disk.max=50M", "disk.files.max=2000")
      #expect(refused.fails(1, "disk.max=50M is below the 5", "that are used"), "\(refused)")
      #expect(try df(node, "web", "-k", 1) == 60 << 10)
      #expect(try df(node, "web", "-i", 1) == 1000)
      // What another key spoils spoils this one.
      #expect(try node.slicectl("set", "web", "disk.max=90M", "pids.max=1").status == 2)
      #expect(try df(node, "web", "-k", 1) == 60 << 10)
      try node.succeed("set", "web", "disk.max=", "disk.files.max=")
      #expect(try df(node, "web", "-k", 1) > 200 << 10)
      try node.succeed("set", "web", "disk.max=80M")
      try node.succeed("restart", "web")
      #expect(try df(node, "web", "-k", 1) == 80 << 10, "bounds outlive the run")
    }
  }

  @Test(arguments: StorageKind.allCases) func aFullSliceStartsAgain(_ kind: StorageKind) throws {
    try withNode(kind.options()) { node in
      try node.create("web", "--set", "disk.max=10M", "--set", "disk.files.max=60")
      _ = try attempt(node, "web", "dd if=/dev/zero of=/big bs=1M count=20")
      _ = try attempt(node, "web", "for i in $(seq 100); do touch /$i || break; done")
      try node.succeed("stop", "web")
      try node.succeed("start", "web")
      #expect(try node.execute("web", "hostname") == "web")
      try node.succeed("set", "web", "disk.max=20M", "disk.files.max=100")
      _ = try node.shell("web", "dd if=/dev/zero of=/more bs=1M count=5")
    }
  }

  @Test(arguments: StorageKind.allCases) func aNumberUsedAgainIsNotBound(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      // Without links: a number is free again only when its link has gone.
      try node.create(
        "first", "--set", "net.mode=none", "--set", "disk.max=5M", "--set", "disk.files.max=30")
      let number = try node.inspect("first")["ids"]["first"]
      try node.succeed("destroy", "--force", "first")
      try node.create("second", "--set", "net.mode=none")
      #expect(try node.inspect("second")["ids"]["first"] == number)
      let report = try storage(node, "second")
      #expect(report["maxBytes"] == .null && report["maxFiles"] == .null)
      #expect(report["usedFiles"].integer ?? 0 < 10, "what the first had is counted no more")
      _ = try node.shell("second", "dd if=/dev/zero of=/big bs=1M count=10")
    }
  }

  @Test(arguments: StorageKind.allCases) func aCrashLeavesNoBounds(_ kind: StorageKind) throws {
    try withNode(kind.options()) { node in
      try node.create("web", "--set", "disk.max=5M", "--no-start")
      try node.create("other", "--set", "disk.max=50M")
      node.crashSupervisor()
      // As a destroy, or a create, that was cut short: layer and bounds without a record.
      let gone = try node.host.run(["rm", "\(node.state)/slices/web/slice.json"])
      #expect(gone.status == 0, "\(gone)")
      // As a set that was cut short: the record says other than the kernel.
      let record = "\(node.state)/slices/other/slice.json"
      let inside = "/proc/\(node.host.initProcess)/root"
      let text = HostFiles.text(inside + record)
      #expect(text.contains("50M"))
      try HostFiles.write(
        text.split(separator: "50M", omittingEmptySubsequences: false).joined(separator: "60M"),
        to: inside + record)
      try node.startSupervisor()
      #expect(node.log.contains("storage web") && node.log.contains("quota of project"))
      #expect(try df(node, "other", "-k", 1) == 60 << 10)
      try node.create("web")
      #expect(try storage(node, "web")["maxBytes"] == .null)
    }
  }

  /// As root outside, on a directory beside: what the slice is refused works.
  @Test(arguments: StorageKind.allCases) func theProjectIsNotTheSlicesToChange(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      let made = try node.slicectl(
        "create", "web", "--set", "disk.max=20M", "--", "sleep", "100000")
      #expect(made.status == 0, "\(made)")
      _ = try node.shell("web", "mkdir /srv/d; : >/srv/f; chown 1000:1000 /srv/d /srv/f")
      let control = "\(node.state)/storage/web/control"
      // Names that no path has by chance.
      for script in [
        "chattr -p 7 @D && lsattr -dp @D | grep -qw 7",
        "chattr -p 7 @F && lsattr -p @F | grep -qw 7",
        "chattr -P @D && ! lsattr -d @D | cut -d ' ' -f 1 | grep -q P",
      ] {
        let outside = script.replacing("@D", with: control).replacing("@F", with: control + "/f")
        let proof = try node.host.run([
          "sh", "-c", "mkdir -p \(control); chattr +P \(control); : >\(control)/f; \(outside)",
        ])
        #expect(proof.status == 0, "the control: \(script): \(proof)")
        for user in ["0", "1000"] {
          for directory in ["/", "/srv", "/srv/d"] {
            let inside = script.replacing("@D", with: directory).replacing("@F", with: "/srv/f")
            let result = try node.slicectl("exec", "web", "--user", user, "--", "sh", "-c", inside)
            #expect(result.status != 0, "\(user): \(inside): \(result)")
          }
        }
        _ = try node.host.run(["rm", "-rf", control])
      }
      // And so what is in such a directory counts still.
      _ = try attempt(node, "web", "dd if=/dev/zero of=/srv/d/big bs=1M count=30")
      #expect(try storage(node, "web")["usedBytes"].integer ?? 0 > 19 << 20)
    }
  }

  /// Layers lay beside the records once: they are moved where a rename can, and count for nobody.
  @Test(arguments: StorageKind.allCases) func aLayerOfAnEarlierVersionIsMovedOrRefused(
    _ kind: StorageKind
  ) throws {
    try withNode(kind.options()) { node in
      try node.create("web")
      try node.succeed("stop", "web")
      let moved = try node.host.run([
        "sh", "-ec",
        """
        cd '\(node.state)'; rm -rf storage/web
        mkdir slices/web/upper slices/web/work; echo kept >slices/web/upper/kept
        """,
      ])
      #expect(moved.status == 0, "\(moved)")
      let started = try node.slicectl("start", "web")
      switch kind {
      case .quota:
        #expect(started.status == 0, "\(started)")
        #expect(try node.execute("web", "cat", "/kept") == "kept")
        #expect(
          try node.slicectl("set", "web", "disk.max=1G").fails(5, "disk.max", "nothing counted it"))
      case .image: #expect(started.fails(1, "its writable layer is not in"), "\(started)")
      }
    }
  }

  // MARK: - The image

  @Test func theImageOutlivesTheSupervisorAndGrows() throws {
    try withNode(StorageKind.image.options("[storage]\nimage = \"128M\"\n")) { node in
      try node.create("web")
      #expect(try storage(node, "web")["image"]["sizeBytes"].integer == 128 << 20)
      let before = try df(node, "web", "-k", 1)
      #expect(before > 100 << 10 && before < 128 << 10)
      _ = try node.shell("web", "echo kept >/kept")
      let mounts = try node.host.run(["grep", "-c", " \(node.state)/storage ", "/proc/mounts"])
      #expect(mounts.output == "1\n")
      node.crashSupervisor()
      try setImage(node, "256M")
      try node.startSupervisor()
      #expect(try node.execute("web", "cat", "/kept") == "kept")
      #expect(try df(node, "web", "-k", 1) > before + 100 << 10)
      #expect(
        try node.host.run(["grep", "-c", " \(node.state)/storage ", "/proc/mounts"]).output
          == mounts.output, "mounted once still")
      // A smaller one is refused, with words; the slice goes on.
      node.stopSupervisor()
      try setImage(node, "128M")
      #expect(throws: HarnessError.self) { try node.startSupervisor() }
      #expect(node.log.contains("storage.image=128M is less than the 256M"))
      node.stopSupervisor()
      try setImage(node, "256M")
      try node.startSupervisor()
      _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=150 conv=fsync")
    }
  }

  private func setImage(_ node: TestNode, _ size: String) throws {
    try HostFiles.write(
      "allow-unenforced = false\n[storage]\nimage = \"\(size)\"\n",
      to: node.directory + "/node.toml")
  }

  @Test func aRebootMountsTheImageAgain() throws {
    try withNode(StorageKind.image.options("[storage]\nimage = \"128M\"\n")) { node in
      try node.create("web", "--set", "disk.max=20M")
      _ = try node.shell("web", "echo kept >/kept; sync")
      try node.succeed("stop", "web")
      node.stopSupervisor()
      // What a reboot takes along, and what a first start that was cut short has left.
      let script = "umount '\(node.state)/storage' && : >'\(node.state)/storage.img.new'"
      let result = try node.host.run(["sh", "-c", script])
      #expect(result.status == 0, "\(result)")
      try node.startSupervisor()
      try node.succeed("start", "web")
      #expect(try node.execute("web", "cat", "/kept") == "kept")
      #expect(try df(node, "web", "-k", 1) == 20 << 10)
      #expect(try node.host.run(["ls", node.state]).output.contains("storage.img.new") == false)
    }
  }

  @Test func aReservedImageTakesItsSpaceAtOnce() throws {
    let policy = "[storage]\nimage = \"128M\"\npreallocate = true\n"
    try withNode(StorageKind.image.options(policy)) { node in
      try node.create("web")
      _ = try node.shell("web", "dd if=/dev/zero of=/big bs=1M count=50 conv=fsync; rm /big; sync")
      let blocks = try node.host.run(["stat", "-c", "%b", "\(node.state)/storage.img"]).output
      #expect(Int(blocks.dropLast()) ?? 0 >= 128 << 11, "\(blocks)")
    }
  }
}
