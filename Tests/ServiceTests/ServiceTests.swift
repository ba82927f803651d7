import SystemTestSupport
import Testing

/// Real services in slices, through the real programs. One test at a time: each has a node of its
/// own, and some look at how much memory or time is used.
@Suite(.serialized, .requiresSlices, .timeLimit(.minutes(10))) enum ServiceTests {}

extension Tag {
  /// Needs programs that are not part of a plain Debian system.
  @Tag static var service: Self
  @Tag static var image: Self
  @Tag static var terminal: Self
  @Tag static var hostile: Self
}

/// As `withNode`, for tests that import images: these go too, before leftovers are counted.
func withImages(_ body: (TestNode) throws -> Void) throws {
  try withNode { node in
    try body(node)
    let slices = try node.json("list").array?.compactMap { $0["name"].string } ?? []
    for slice in slices { try node.succeed("destroy", "--force", slice) }
    for image in try node.json("image", "list").array ?? [] where image["kind"].string == "stored" {
      try node.succeed("image", "remove", image["name"].string ?? "")
    }
  }
}

extension TestNode {
  /// A slice's IPv4 and IPv6 address.
  func addresses(of slice: String) throws -> (ipv4: String, ipv6: String) {
    let network = try json("inspect", slice)["network"]
    guard let ipv4 = network["ipv4"].string, let ipv6 = network["ipv6"].string else {
      throw HarnessError("\(slice) has no addresses: \(network)")
    }
    return (ipv4, ipv6)
  }

  /// What the host gets from a URL, asking until there is an answer; empty: none came.
  func get(_ url: String, within seconds: Double = 20) throws -> String {
    var answer = ""
    _ = try eventually(within: seconds) {
      answer = try host.run(["curl", "-s", "-g", "-m", "5", url]).output
      return !answer.isEmpty
    }
    return answer
  }

  /// The names and states of a slice's processes, by `ps` of the image `host`.
  func processes(in slice: String) throws -> [(state: String, name: String)] {
    try execute(slice, "ps", "-A", "-o", "stat=,comm=").split(separator: "\n").map { line in
      let fields = line.split(separator: " ", maxSplits: 1)
      return (String(fields[0]), fields[1].trimmingPrefix(while: { $0 == " " }).description)
    }
  }

  /// Writes a file that a test takes into a slice or an image; returns its path.
  func file(_ name: String, _ text: String, mode: UInt32 = 0o644) throws -> String {
    let path = directory + "/" + name
    try HostFiles.write(text, to: path, mode: mode)
    return path
  }
}
