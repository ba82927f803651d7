import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// PyPI's Varlink client, which knows nothing of slices, against the real supervisor.
@Suite(
  .requiresSlices,
  .enabled(
    if: getenv("VARLINK_PYTHON") != nil,
    "VARLINK_PYTHON does not name a Python interpreter that has the varlink package"))
struct VarlinkClientTests {
  private func run(_ node: TestNode, _ script: String, as user: TestUser = .root) throws {
    let python = String(cString: getenv("VARLINK_PYTHON"))
    let result = try node.host.run(
      [python, "-c", "import sys, varlink\n" + script, "unix:" + node.socket], as: user)
    #expect(result.status == 0, "\(result)")
  }

  @Test func theInterfaceDescribesItself() throws {
    try withNode { node in
      try run(
        node,
        """
        with varlink.Client(sys.argv[1]) as client:
            client.get_interfaces()
            assert client.info["product"] == "sliced", client.info
            assert "org.sliceruntime.Slices" in client.info["interfaces"], client.info
            text = client.get_interface("org.sliceruntime.Slices").get_description()
            for method in ("Create", "List", "Execute", "ImageImport"):
                assert "method " + method + "(" in text, text
            assert text == open("\(Host.packageDirectory)/Sources/SliceInterface/org.sliceruntime.Slices.varlink").read()
        """)
    }
  }

  @Test func aSliceLivesAndEnds() throws {
    try withNode { node in
      try run(
        node,
        """
        with varlink.Client(sys.argv[1]) as client, client.open("org.sliceruntime.Slices") as slices:
            assert slices.List()["slices"] == []
            spec = {"image": "minimal", "command": ["sleep", "100000"], "environment": [],
                    "restart": "no", "settings": {}, "mounts": [], "allowUnenforced": False}
            made = slices.Create(name="web", spec=spec, start=True)["slice"]
            assert made["state"] == "running" and made["owner"] == "root", made
            assert slices.Inspect(name="web")["slice"]["network"]["mode"] == "routed"
            for call, arguments, error in (
                (slices.Destroy, {"name": "web", "force": False}, "Failed"),
                (slices.Inspect, {"name": "ghost"}, "NoSuchSlice"),
                (slices.Create, {"name": "../x", "spec": spec, "start": True}, "Usage"),
                (slices.Set, {"name": "web", "changes": {"cpu.weight": "0"}}, "Usage")):
                try:
                    call(**arguments)
                    assert False, error
                except varlink.VarlinkError as refused:
                    assert refused.error() == "org.sliceruntime.Slices." + error, refused
                    assert refused.parameters()["message"], refused
            slices.Destroy(name="web", force=True)
            assert slices.List()["slices"] == []
        """)
    }
  }

  @Test func ownersAreKnownByTheirCredentials() throws {
    try withNode { node in
      try node.create("roots")
      // The interpreter must be one that every user may execute.
      let python = String(cString: getenv("VARLINK_PYTHON"))
      guard try node.host.run([python, "-c", "import varlink"], as: .alice).status == 0 else {
        return
      }
      try run(
        node,
        """
        with varlink.Client(sys.argv[1]) as client, client.open("org.sliceruntime.Slices") as slices:
            assert slices.List()["slices"] == []
            for call in (slices.Stop, slices.Inspect):
                try:
                    call(name="roots")
                    assert False
                except varlink.VarlinkError as refused:
                    assert refused.error() == "org.sliceruntime.Slices.Refused", refused
        """, as: .alice)
    }
  }

  /// Garbage, and connections held open with half a message, by one user; others are served.
  @Test func badMessagesHarmNobodyElse() throws {
    try withNode { node in
      let before = node.resources()
      let flood = try node.host.start(
        [
          "/usr/bin/python3", "-c",
          """
          import socket, sys, time
          def send(data, end=True):
              peer = socket.socket(socket.AF_UNIX)
              peer.settimeout(5)
              try:
                  peer.connect(sys.argv[1])
                  peer.sendall(data)
                  if end:
                      peer.shutdown(socket.SHUT_WR)
                      while peer.recv(65536):
                          pass
              except OSError:
                  pass
              return peer
          for data in (b"", b"\\0", b"{\\0", b"[]\\0", b"null\\0", b'{"method": 5}\\0', b"\\xff\\xfe\\0",
                       b'{"method": "x.y.Z"}\\0', b'{"method":"org.sliceruntime.Slices.Create"}\\0',
                       b'{"method":"org.sliceruntime.Slices.Create","parameters":{"name":7}}\\0',
                       b"[" * 100000 + b"\\0", b"x" * (32 << 20)):
              send(data)
          idle = [send(b'{"met', end=False) for _ in range(500)]
          print("ready", flush=True)
          time.sleep(1000)
          """, node.socket,
        ], as: .alice)
      #expect(eventually(within: 60) { flood.output.contains("ready") }, "\(flood.errors)")
      #expect(try node.json("list") == .array([]))
      #expect(try node.json("list", as: .bob) == .array([]))
      flood.signal(SIGKILL)
      _ = flood.wait(seconds: 10)
      #expect(node.change(since: before) == "")
    }
  }
}
