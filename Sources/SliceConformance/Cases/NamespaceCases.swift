/// New namespaces, others', and whose a slice's own are.
enum NamespaceCases {
  static let all: [ConformanceCase] = [
    .probe(
      "namespace.clone", "no process is made in a new namespace", "clone(2), CVE-2022-0185",
      depth: [.argumentFilter, .namespaceLimits, .capabilities]),
    .probe(
      "namespace.unshare", "no new namespace is made for a process", "unshare(2), CVE-2022-0185",
      depth: [.argumentFilter, .namespaceLimits, .capabilities]),
    .probe(
      "namespace.clone3", "clone3 makes no user namespace", "clone(2)",
      depth: [.callFilter, .namespaceLimits]),
    .probe(
      "namespace.limits",
      "the kernel allows the slice no namespaces, should a call get past the filter",
      "namespaces(7), /proc/sys/user", needs: [.namespaceLimits]),
    .probe(
      "namespace.owners", "root of the slice has no rights over its namespaces by owning them",
      "user_namespaces(7), ioctl_ns(2)", needs: [.hostOwnership, .userNamespace]),
    .probe(
      "namespace.others", "none of the host's namespaces is the slice's", "namespaces(7)",
      needs: [
        .userNamespace, .rootChange, .processNamespace, .networkNamespace, .ipcNamespace,
        .hostnameNamespace, .cgroupNamespace,
      ], .hostNamespaces, control: .host(nil)),
    .probe(
      "namespace.join", "no other namespace is joined", "setns(2)",
      depth: [.callFilter, .capabilities]),
    .probe(
      "namespace.hostname", "the host's name is its own", "uts_namespaces(7)",
      depth: [.callFilter, .capabilities, .hostOwnership], probe: "system.hostname"),
  ]
}
