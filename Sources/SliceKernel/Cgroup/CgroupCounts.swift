import Descriptor

/// A cgroup file of `NAME VALUE` lines ("flat keyed" in cgroup-v2.rst), such as cpu.stat.
public struct CgroupCounts: Sendable, Hashable {
  private var counts: [Substring: UInt64] = [:]

  public init(_ cgroup: Cgroup, _ file: String) throws(SystemError) {
    for line in try cgroup.read(file).split(separator: "\n") {
      let words = line.split(separator: " ")
      if words.count == 2, let count = UInt64(words[1]) { counts[words[0]] = count }
    }
  }

  public subscript(name: String) -> UInt64? { counts[Substring(name)] }
}
