import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The parts of /etc that the runtime writes: the skeleton of its own images, and what every slice
/// gets for itself.
enum EtcFiles {
  /// The directories of a root file system, and an /etc with the ids that every Debian system has.
  ///
  /// - Parameter shell: root's.
  static func addSkeleton(to tree: inout TreeContent, shell: String = "/bin/sh") {
    for directory in [
      "dev", "etc", "home", "mnt", "opt", "proc", "run", "srv", "sys", "var", "var/cache",
      "var/lib", "var/log", "var/mail", "var/spool",
    ] {
      tree.add(directory, .directory(mode: 0o755))
    }
    tree.add("root", .directory(mode: 0o700))
    tree.add("tmp", .directory(mode: 0o1777))
    tree.add("var/tmp", .directory(mode: 0o1777))
    tree.add("var/run", .link("/run"))
    tree.add("var/lock", .link("/run/lock"))
    tree.add("etc/passwd", text: passwd(rootShell: shell))
    tree.add("etc/group", text: group)
    tree.add(
      "etc/nsswitch.conf", text: "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    tree.add("etc/host.conf", text: "multi on\n")
    tree.add("etc/profile", text: profile)
  }

  /// For login shells. The prompt does without escapes, which dash would show as they are.
  private static let profile = """
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    export PATH
    case $(id -u) in 0) PS1='# ' ;; *) PS1='$ ' ;; esac
    PS1="$USER@$(uname -n):\\$PWD$PS1"

    """

  /// Debian's fixed ids (base-passwd) beside root: users that services expect to find; and the one that
  /// tcpdump becomes, or gives up, with the id that other distributions have fixed.
  private static let users: [(name: String, id: Int, group: Int, home: String, shell: String)] = [
    ("daemon", 1, 1, "/usr/sbin", "/usr/sbin/nologin"),
    ("bin", 2, 2, "/bin", "/usr/sbin/nologin"), ("sys", 3, 3, "/dev", "/usr/sbin/nologin"),
    ("games", 5, 60, "/usr/games", "/usr/sbin/nologin"),
    ("mail", 8, 8, "/var/mail", "/usr/sbin/nologin"),
    ("proxy", 13, 13, "/bin", "/usr/sbin/nologin"),
    ("www-data", 33, 33, "/var/www", "/usr/sbin/nologin"),
    ("backup", 34, 34, "/var/backups", "/usr/sbin/nologin"),
    ("tcpdump", 72, 72, "/nonexistent", "/usr/sbin/nologin"),
    ("nobody", 65534, 65534, "/nonexistent", "/usr/sbin/nologin"),
  ]
  private static let groups: [(name: String, id: Int)] = [
    ("root", 0), ("daemon", 1), ("bin", 2), ("sys", 3), ("adm", 4), ("tty", 5), ("disk", 6),
    ("mail", 8), ("proxy", 13), ("www-data", 33), ("backup", 34), ("shadow", 42), ("utmp", 43),
    ("staff", 50), ("games", 60), ("tcpdump", 72), ("users", 100), ("nogroup", 65534),
  ]
  private static func passwd(rootShell: String) -> String {
    "root:x:0:0:root:/root:\(rootShell)\n"
      + users.map { "\($0.name):x:\($0.id):\($0.group):\($0.name):\($0.home):\($0.shell)\n" }
      .joined()
  }
  private static var group: String { groups.map { "\($0.name):x:\($0.id):\n" }.joined() }

  /// Writes hosts, hostname and resolv.conf into the writable layer of a new slice, which nothing of
  /// the slice has touched yet.
  static func write(
    upper: String, name: SliceName, addresses: SliceAddresses?, nameServers: [String],
    owner: UInt32
  ) throws(SystemError) {
    let etc = upper + "/etc"
    try Files.makeDirectory(etc, mode: 0o755)
    try checked("chown", etc) { chown(etc, owner, owner) }
    var hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    if let addresses {
      hosts += "\(addresses.ipv4)\t\(name)\n"
      if let ipv6 = addresses.ipv6 { hosts += "\(ipv6)\t\(name)\n" }
    } else {
      hosts += "127.0.1.1\t\(name)\n"
    }
    let servers = nameServers.map { "nameserver \($0)\n" }.joined()
    for (file, text) in [
      ("hosts", hosts), ("hostname", "\(name)\n"),
      (
        "resolv.conf",
        servers.isEmpty ? "# this node has no name server that slices can reach\n" : servers
      ),
    ] {
      let path = etc + "/" + file
      let opened = try Files.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o644)
      let number = opened.rawValue
      try Files.writeAll(Array(text.utf8), to: number, path: path)
      try checked("fchmod", path) { fchmod(number, 0o644) }
      try checked("fchown", path) { fchown(number, owner, owner) }
    }
  }

  /// The name servers of the host that a slice can reach: those that are not on the host's own
  /// loopback, from the resolver's real list where the usual file only names a local stub.
  static func hostNameServers() -> [String] {
    for path in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
      guard let text = try? Files.readText(path) else { continue }  // a host without one has none
      let servers = text.split(separator: "\n").compactMap { line -> String? in
        let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
        guard words.count >= 2, words[0] == "nameserver" else { return nil }
        return String(words[1])
      }
      let reachable = servers.filter { !$0.hasPrefix("127.") && $0 != "::1" && !$0.contains("%") }
      if !reachable.isEmpty { return reachable }
    }
    return []
  }
}
