/// Mounts, and ways back to the host's files.
enum MountCases {
  static let all: [ConformanceCase] = [
    .probe("mount.memory", "nothing is mounted", "mount(2)", depth: held),
    .probe("mount.bind", "nothing is bound to another place", "mount(2)", depth: held),
    .probe(
      "mount.proc", "no second proc, without masks, is mounted", "CVE-2019-19921", depth: held),
    .probe("mount.remount", "no mount is changed", "mount(2)", depth: held),
    .probe(
      "mount.unmount", "no mount is removed, nor what it covers shown", "umount(2)", depth: held),
    .probe("mount.fsopen", "the new mount interface is closed too", "CVE-2022-0185", depth: held),
    .probe("mount.open-tree", "no mount is cloned", "open_tree(2)", depth: held),
    .probe("mount.move", "no mount is moved", "move_mount(2)", depth: held),
    .probe("mount.pivot-root", "the root is not changed", "pivot_root(2)", depth: held),
    .probe(
      "mount.open-by-handle", "no file is opened past the root by its handle",
      "open_by_handle_at(2), CVE-2014-3519", depth: [.callFilter, .capabilities, .userNamespace]),
    .probe(
      "mount.host-path", "a file of the host is not there", "pivot_root(2)", needs: [.rootChange],
      .hostFile, control: .host(nil)),
    .probe(
      "mount.magic-links", "no process's root or working directory leads to the host",
      "proc_pid_root(5), CVE-2024-21626", needs: [.rootChange], .hostFile, control: .host(nil)),
    .probe(
      "mount.chroot", "the host's files are not found by chroot and ..", "chroot(2)",
      needs: [.rootChange], .hostFile, control: .host(nil)),
    .probe(
      "mount.propagation", "no mount propagates in or out", "mount_namespaces(7)",
      needs: [.privateMounts]),
    .probe("mount.nosuid", "every mount is nosuid", "mount(8)", needs: [.mountAttributes]),
    .probe(
      "mount.nodev", "every mount but /dev is nodev", "mount(8)", needs: [.mountAttributes]),
  ]

  private static let held: [Defence] = [.callFilter, .capabilities, .hostOwnership]
}
