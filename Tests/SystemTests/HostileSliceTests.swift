import SliceModel
import SystemTestSupport
import Testing

/// What a slice or its owner did to the supervisor once: each was found by trying.
@Suite(.requiresSlices) struct HostileSliceTests {
  @Test func treeOfAnyDepthAndNamesIsRemoved() throws {
    try withNode { node in
      try node.create("web")
      // As deep as the shell can follow; then names that are no UTF-8, and a link out.
      _ = try node.shell(
        "web",
        """
        cd /root; i=0; while [ $i -lt 1900 ]; do mkdir d 1; cd d; i=$((i+1)); done
        cd /root; mkdir "$(printf '\\377')"; echo >"$(printf '\\377/\\376')"; ln -s /etc "$(printf '\\375')"
        mkdir "/sys/fs/cgroup/$(printf '\\377')"
        """)
      try node.succeed("destroy", "--force", "web")
      #expect(try node.json("list") == .array([]))
      #expect(HostFiles.list(node.state + "/slices").isEmpty)
      #expect(HostFiles.exists("/etc/passwd"))
    }
  }

  @Test func cgroupsAreBounded() throws {
    try withNode { node in
      try node.create("web")
      let made = try node.shell(
        "web", "cd /sys/fs/cgroup; i=0; while mkdir c$i 2>/dev/null; do i=$((i+1)); done; echo $i")
      #expect(Int(made).map { $0 <= 1000 } == true, "\(made)")
      let deep = try node.shell(
        "web",
        "cd /sys/fs/cgroup; rmdir c*; i=0; while mkdir d 2>/dev/null; do cd d; i=$((i+1)); done; echo $i"
      )
      #expect(Int(deep).map { $0 <= 16 } == true, "\(deep)")
      try node.succeed("destroy", "--force", "web")
    }
  }

  @Test func longGraceKeepsNobodyFromDestroying() throws {
    try withNode { node in
      try node.create("web", command: ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
      let stopping = try node.start("stop", "--timeout", "1h", "web")
      #expect(try !eventually(within: 1) { try node.state(of: "web") != "running" })
      let result = try node.slicectl("destroy", "--force", "web", timeout: 20)
      #expect(result.status == 0, "\(result)")
      _ = stopping.wait(seconds: 10)
    }
  }

  @Test func frozenInitKeepsNobodyFromStopping() throws {
    try withNode { node in
      try node.create("web")
      _ = try node.shell(
        "web",
        "cd /sys/fs/cgroup; mkdir c; echo 1 >c/cgroup.procs; echo 1 >c/cgroup.freeze")
      var signals: [BackgroundCommand] = []
      for _ in 0..<12 { signals.append(try node.start("kill", "--signal", "USR1", "web")) }
      let result = try node.slicectl("destroy", "--force", "web", timeout: 20)
      #expect(result.status == 0, "\(result)")
      for signal in signals { _ = signal.wait(seconds: 10) }
    }
  }

  @Test func hostsClosedFilesStayClosed() throws {
    try withNode { node in
      try node.succeed("create", "web", "--image", "host", "--", "sleep", "100000")
      let closed = try node.shell(
        "web",
        "find /usr -xdev -type f ! -perm -o=r 2>/dev/null | while read f; do cat \"$f\" >/dev/null 2>&1 && echo \"$f\"; done; true"
      )
      #expect(closed.isEmpty, "readable: \(closed)")
    }
  }

  @Test func hostsPressureIsOutOfReach() throws {
    try withNode { node in
      try node.create("web")
      #expect(try node.shell("web", "ls /proc/pressure 2>/dev/null | wc -l") == "0")
    }
  }
}
