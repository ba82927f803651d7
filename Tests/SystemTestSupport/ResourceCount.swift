import Glibc

/// Everything on a test's host that a slice could leave behind, by kind.
///
/// Equal when there is as much of every kind: numbers of namespaces and processes change from one
/// to the next. What there is serves the message.
public struct ResourceCount: Sendable, Equatable {
  public private(set) var found: [String: [String]] = [:]
  private static let descriptors = "descriptors of sliced"

  public static func == (left: ResourceCount, right: ResourceCount) -> Bool {
    left.found.mapValues(\.count) == right.found.mapValues(\.count)
  }

  public var linksOfSlices: Int { found["links", default: []].count { $0.hasPrefix("sl-") } }

  /// What is here and was not in `earlier`, and the other way round; empty when they are equal.
  public func difference(from earlier: ResourceCount) -> String {
    var lines: [String] = []
    for kind in found.keys.sorted() {
      let (now, before) = (found[kind] ?? [], earlier.found[kind] ?? [])
      guard now.count != before.count else { continue }
      // A connection of the test's own, which sliced had not closed yet when counting began.
      if kind == Self.descriptors, now.count < before.count { continue }
      lines.append("\(kind): \(before.count) before, \(now.count) now")
      lines += Set(now).subtracting(before).sorted().prefix(20).map { "  + \($0)" }
      lines += Set(before).subtracting(now).sorted().prefix(20).map { "  - \($0)" }
    }
    return lines.joined(separator: "\n")
  }

  /// - Parameters:
  ///   - supervisor: the number of sliced in `host`'s PID namespace; nil: it does not run.
  init(host: PrivateHost, supervisor: pid_t?, cgroup: String, directories: [String]) {
    let proc = host.proc
    let pids = ProcessTable.pids(proc: proc).filter { pid in
      // Neither PID 1 of the private host nor what it sleeps with.
      pid != 1
        && !(ProcessTable.status(of: pid, proc: proc)?.parent == 1
          && HostFiles.text("\(proc)/\(pid)/comm") == "sleep\n")
    }
    found["processes"] = pids.map { pid in
      "\(pid) \(HostFiles.text("\(proc)/\(pid)/comm").dropLast())"
    }
    found["cgroups"] = HostFiles.tree(cgroup).filter(HostFiles.isDirectory)
    found["mounts"] = HostFiles.lines("/proc/\(host.initProcess)/mountinfo").filter {
      !host.copiedMounts.contains($0)
    }
    // overlayfs makes its `work/work` at the first mount, and it stays until the slice goes.
    found["files"] = directories.flatMap { HostFiles.tree($0) }.filter {
      !$0.hasSuffix("/work/work")
    }
    readNetwork("/proc/\(host.initProcess)/net")
    readNamespaces(proc, pids)
    found[Self.descriptors] =
      supervisor.map { pid in
        HostFiles.list("\(proc)/\(pid)/fd").map {
          "\($0) \(HostFiles.link("\(proc)/\(pid)/fd/\($0)"))"
        }
      } ?? []
  }

  private mutating func readNetwork(_ net: String) {
    found["links"] = HostFiles.lines(net + "/dev").dropFirst(2).map { line in
      String(line.split(separator: ":")[0]).filter { $0 != " " }
    }
    found["routes"] =
      HostFiles.lines(net + "/route").dropFirst() + HostFiles.lines(net + "/ipv6_route")
    var previous = ""
    var addresses = HostFiles.lines(net + "/if_inet6")
    for line in HostFiles.lines(net + "/fib_trie") {
      if line.contains("host LOCAL") { addresses.append(previous) }
      previous = line
    }
    found["addresses"] = addresses
  }

  /// Namespaces that processes live in or hold open.
  private mutating func readNamespaces(_ proc: String, _ pids: [pid_t]) {
    for (kind, file) in [("network", "net"), ("user", "user"), ("mount", "mnt")] {
      var seen: Set<String> = []
      for pid in pids {
        seen.insert(HostFiles.link("\(proc)/\(pid)/ns/\(file)"))
        for number in HostFiles.list("\(proc)/\(pid)/fd") {
          let target = HostFiles.link("\(proc)/\(pid)/fd/\(number)")
          if target.hasPrefix(file + ":") { seen.insert(target) }
        }
      }
      found["\(kind) namespaces"] = seen.filter { !$0.isEmpty }.sorted()
    }
  }
}
