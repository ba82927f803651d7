import Descriptor
import Glibc
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceKernel

/// Paths of a tree that somebody hostile made.
@Suite struct RootedPathTests {
  private let directory: TemporaryDirectory

  /// root/ is the hostile tree; secret lies beside it.
  init() throws {
    directory = try TemporaryDirectory()
    mkdir(directory["root"], 0o755)
    mkdir(directory["root/etc"], 0o755)
    try HostFiles.write("outside", to: directory["secret"])
    try HostFiles.write("inside", to: directory["root/secret"])
  }

  private func read(_ path: String) throws -> String {
    let root = try RootedPath(root: directory["root"])
    return String(decoding: try root.read(path, limit: 100), as: UTF8.self)
  }

  @Test func dotsAndAbsoluteNamesStayInside() throws {
    #expect(try read("secret") == "inside")
    #expect(try read("../secret") == "inside")
    #expect(try read("etc/../../../../secret") == "inside")
    #expect(try read("/secret") == "inside")
  }

  @Test func linksStayInside() throws {
    symlink("/secret", directory["root/absolute"])
    symlink("../../../secret", directory["root/etc/relative"])
    symlink("../..", directory["root/etc/up"])
    #expect(try read("absolute") == "inside")
    #expect(try read("etc/relative") == "inside")
    #expect(try read("etc/up/secret") == "inside")
  }

  @Test func magicLinksAreRefused() throws {
    let root = try RootedPath(root: "/proc")
    let error = #expect(throws: SystemError.self) {
      _ = try root.open("self/root/etc/passwd", O_RDONLY)
    }
    #expect(error?.code == ELOOP)
  }

  @Test func onlyRegularFilesAreRead() throws {
    #expect(throws: SystemError.self) { try read("etc") }
    mkfifo(directory["root/fifo"], 0o644)
    #expect(throws: SystemError.self) { try read("fifo") }
    symlink("loop", directory["root/loop"])
    #expect(throws: SystemError.self) { try read("loop") }
    try HostFiles.write(String(repeating: "x", count: 101), to: directory["root/large"])
    #expect(throws: SystemError.self) { try read("large") }
  }
}

@Suite struct RemoveTreeTests {
  @Test func takesEverythingAndFollowsNothing() throws {
    let directory = try TemporaryDirectory()
    mkdir(directory["kept"], 0o755)
    try HostFiles.write("x", to: directory["kept/file"])
    let made = try Command.run([
      "sh", "-ec",
      """
      cd '\(directory.path)'; mkdir -p tree/a/b/c; touch tree/a/f 'tree/a/with space'
      ln -s '\(directory["kept"])' tree/a/b/link; ln -s ../../../kept tree/a/relative
      mkfifo tree/fifo; chmod 0 tree/a/b
      """,
    ])
    #expect(made.status == 0)
    try Files.removeTree(directory["tree"])
    #expect(!HostFiles.exists(directory["tree"]))
    #expect(HostFiles.exists(directory["kept/file"]))
    try Files.removeTree(directory["tree"])
    try Files.removeTree(directory["no/such/tree"])
  }

  @Test func aLinkIsRemovedItself() throws {
    let directory = try TemporaryDirectory()
    mkdir(directory["kept"], 0o755)
    symlink(directory["kept"], directory["link"])
    try Files.removeTree(directory["link"])
    #expect(HostFiles.exists(directory["kept"]))
  }

  @Test func depthIsNoLimit() throws {
    let directory = try TemporaryDirectory()
    var path = directory["tree"]
    for _ in 0..<200 {
      mkdir(path, 0o755)
      path += "/d"
    }
    try Files.removeTree(directory["tree"])
    #expect(!HostFiles.exists(directory["tree"]))
  }
}

@Suite struct ReplaceTests {
  @Test func aFileIsReplacedAtOnceOrNotAtAll() throws {
    let directory = try TemporaryDirectory()
    try Files.replace(directory["record"], with: Array("one".utf8), mode: 0o600)
    #expect(HostFiles.text(directory["record"]) == "one")
    try Files.replace(directory["record"], with: Array("two".utf8), mode: 0o600)
    #expect(HostFiles.text(directory["record"]) == "two")
    #expect(HostFiles.list(directory.path) == ["record"])
    #expect(throws: SystemError.self) {
      try Files.replace(directory["no/record"], with: [], mode: 0o600)
    }
  }
}
