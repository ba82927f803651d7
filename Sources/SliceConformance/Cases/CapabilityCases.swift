/// Capabilities, and programs that would give more of them.
enum CapabilityCases {
  static let all: [ConformanceCase] = [
    .probe(
      "capability.bounding",
      "the bounding set has twelve capabilities at most, over the slice's own users and files",
      "capabilities(7)", needs: [.capabilities]),
    .probe(
      "capability.permitted", "the permitted set has no more", "capabilities(7)",
      needs: [.capabilities]),
    .probe(
      "capability.inheritable", "the inheritable set is empty", "CVE-2022-24769",
      depth: [.capabilities, .userNamespace]),
    .probe(
      "capability.ambient", "the ambient set is empty", "CVE-2022-24769",
      depth: [.capabilities, .userNamespace]),
    .probe(
      "capability.raise", "no capability is raised that isn't there", "capset(2)",
      needs: [.capabilities]),
    .probe(
      "capability.no-new-privileges", "no_new_privs is set", "prctl(2)", needs: [.noNewPrivileges]),
    .probe(
      "capability.set-uid", "a set-uid program of root gains nothing", "execve(2)",
      depth: [.noNewPrivileges, .mountAttributes]),
    .probe(
      "capability.file", "a program with capabilities in its file gains nothing", "capabilities(7)",
      depth: [.noNewPrivileges, .mountAttributes]),
  ]
}
