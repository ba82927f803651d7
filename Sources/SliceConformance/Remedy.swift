/// What a person does about a defence that is missing: commands that show whether it is there, what they must
/// say, and what mends it.
extension Defence {
  public var remedy: String {
    var notes: [String] = []
    if advice.contains("/P/") || advice.contains(" P ") || advice.contains(" P'") {
      notes.append(
        "P: the pid that 'slicectl inspect NAME' shows of any slice that runs, those of this suite are gone"
      )
    }
    if advice.contains(" anew") {
      notes.append(
        "anew: by your distribution's package, or 'make install' of sources that you trust")
    }
    if advice.contains(Self.socket) {
      notes.append("where sliced listens, unless --socket says else")
    }
    return notes.isEmpty ? advice : advice + " (\(notes.joined(separator: "; ")))"
  }

  private static let socket = "/run/slices/sliced.sock"
  private static let closing = "close the socket to owners ('chmod 600 \(socket)')"

  private var advice: String {
    switch self {
    case .callFilter, .argumentFilter:
      "grep Seccomp /proc/P/status must say 'Seccomp: 2' and 'Seccomp_filters: 2' (a third where raw sockets are granted); if it doesn't, sliced was changed or the kernel lacks CONFIG_SECCOMP_FILTER: install sliced anew and restart the slices; where it says so, the filter's list has a gap on this kernel: name the call that the report shows in seccomp.refuse of every slice ('slicectl create' takes it) until it is closed"
    case .userNamespace:
      "ls -l /proc/P/ns/user /proc/1/ns/user must differ, and /proc/P/uid_map must begin '0' and a number of the node's [ids]; if not, sliced was changed: install it anew and restart the slices"
    case .hostOwnership:
      "'nsenter -t P -U -u hostname x' must say 'Operation not permitted'; where it doesn't, the slice's root owns a namespace that the host must own, because the launch has entered the user namespace too early (Docs/launch-order.md): install sliced anew and restart the slices"
    case .ipcNamespace, .hostnameNamespace, .networkNamespace, .cgroupNamespace,
      .processNamespace:
      "compare 'ls -l /proc/P/ns' with 'ls -l /proc/1/ns': every namespace must be another; one that is the same is missing from the launch (Docs/launch-order.md): install sliced anew and restart the slices"
    case .namespaceLimits:
      "nsenter -t P -U cat /proc/sys/user/max_user_namespaces must say 0; if not, something on this host writes /proc/sys/user after the launch, or sliced was changed: install it anew and restart the slices"
    case .capabilities:
      "grep Cap /proc/P/status: CapBnd and CapPrm must have twelve bits at most, CapInh and CapAmb none; if not, install sliced anew and restart the slices"
    case .noNewPrivileges:
      "grep NoNewPrivs /proc/P/status must say 1; if not, install sliced anew and restart the slices"
    case .rootChange, .privateMounts, .mountAttributes:
      "see /proc/P/mountinfo: no line may say 'shared:' or 'master:', every mount must be nosuid, and nodev but for /dev, /dev/pts and the masks, which are /dev/null; where a line is else, 'findmnt -N P' shows what was mounted: look for what mounts there from the host, and restart the slice; where a slice that was just started has it too, install sliced anew"
    case .masks:
      "a file of this kernel's /proc or /sys tells of the host: if its name stands in Docs/launch-order.md, a mount was removed (see /proc/P/mountinfo), and the slices must be restarted; if it doesn't, this kernel is newer than the list: report it, and until then give the slice to nobody you don't trust"
    case .readOnlyKernelFiles:
      "grep -E ' /(sys|proc/sys) ' /proc/P/mountinfo must say 'ro'; if not, something has mounted there since: restart the slices, and look for what runs nsenter on this host"
    case .freshDevices:
      "ls -l /proc/P/root/dev must show null, zero, full, random, urandom, tty, pts, ptmx, shm, mqueue, fd and the std streams, owned by the host's root, and nothing else; what is more was put there from outside, or sliced was changed: install it anew and restart the slices"
    case .deviceProgram:
      "bpftool cgroup tree must show a program of type cgroup_device (or 'device') on the parent of the slices' cgroups, the second directory above the one that /proc/P/cgroup names; where it is missing, 'slicectl doctor' says whether this kernel can have it (CONFIG_CGROUP_BPF): if it can, restart sliced and the slices"
    case .cgroupLimits:
      "run 'slicectl doctor', which names a controller that was taken away since; then compare memory.max, pids.max and cpu.max in the slice's cgroup, the directory above the one that /proc/P/cgroup names, with what 'slicectl inspect' shows: where they differ, set the limit again ('slicectl set NAME KEY=VALUE') and restart sliced"
    case .weights:
      "see cpu.weight and io.weight in the slices' cgroups, the directory above the one that /proc/P/cgroup names: they must be what 'slicectl inspect' shows; where one isn't, set it again ('slicectl set NAME cpu.weight=N') and restart sliced; where they are, other work of the host may have been in the way: run the case again on a quiet host"
    case .diskQuota:
      "run 'slicectl doctor', which says what the slices' storage is and, where it holds no bounds, the commands that mend it; on a file system of the host's own 'findmnt -T /var/lib/slices' must show prjquota; then restart sliced and set the bound again ('slicectl set NAME disk.max=SIZE')"
    case .processLimits:
      "see 'Max core file size' in /proc/P/limits, which must be 0; if not, install sliced anew and restart the slices"
    case .ownLimits:
      "grep -E 'signals|msgqueue|locked' /proc/S/limits, S the pid of sliced, must say 'unlimited': sliced raises these when it starts, which takes CAP_SYS_RESOURCE (it says so in its log where it lacks that); give it back to the unit (CapabilityBoundingSet=), restart sliced and then the slices; until then one slice can take all message queues of the others"
    case .classifier:
      "tc filter show dev LINK ingress, LINK as 'slicectl inspect' shows it, must name the program from_slice with direct-action, before any other filter; where it is missing or comes second, remove what was added and restart the slice; where it is there and lets this pass, classifier.bpf.o was changed: install it anew, restart sliced and the slices; 'slicectl stop-all' keeps everything in meanwhile"
    case .rawProgram:
      "nsenter -t P -n tc filter show dev eth0 egress must name the program from_raw_socket with direct-action, before any other filter; where it is missing, restart the slice; where it is there and lets this pass, raw.bpf.o was changed: install it anew and restart the slices that have raw.allow; 'slicectl set NAME raw.allow=' ends raw sockets meanwhile"
    case .rawBroker:
      "slice-broker gave a raw socket more than was granted, or left it what was withdrawn: compare raw.allow in 'slicectl inspect NAME' with what the report says; install slice-broker anew and restart the slices that have raw.allow ('slicectl set NAME raw.allow=' ends their raw sockets meanwhile); where that changes nothing, report the fault as Docs/security.md says"
    case .overlayPrograms:
      "'slicectl overlay inspect NAME' must show no problem and count the drop ('source', 'protocol', 'frame'); where it doesn't, have the members leave ('slicectl overlay leave NAME SLICE') until overlay.bpf.o is installed anew and sliced restarted"
    case .flowAudit:
      "tc filter show dev UPLINK egress must name the program to_uplink; where it is missing, another program has taken its place: remove that and restart sliced; where it is there, classifier.bpf.o was changed: install it anew and restart sliced. Until then don't answer abuse reports by 'slicectl flows' alone"
    case .shaping:
      "tc -s class show dev UPLINK must show a class for each slice, with rates by its net.weight; where the qdisc isn't sliced's, somebody else has configured the link: give it back ('tc qdisc delete dev UPLINK root') and restart sliced; set [total] net in node.toml to what the link can carry"
    case .closedDescriptors:
      "ls -l /proc/C/fd of the service, the child C of P ('pgrep -P P'), must show 0, 1 and 2 and what it has opened itself; if there is more, slice-init was changed: install it anew and restart the slices"
    case .untraceableInit:
      "stat -c %a on slice-init in the directory of programs must say 711, owned by root: chmod 711 it, then restart the slices"
    case .environment:
      "see /proc/P/environ: if it has what sliced's own has, install slicectl and sliced anew"
    case .ownTerminal:
      "run 'slicectl exec -t NAME -- tty': it must say /dev/pts/N of the slice; if not, install slicectl and sliced anew, and enter no slice from a terminal of yours until then"
    case .identity:
      "compare 'slicectl exec --user U NAME -- id' with the image's /etc/passwd and /etc/group; if they differ, install slice-init anew and restart the slices"
    case .pathResolution:
      "sliced was led out of a slice's root: stop giving slices to people you don't trust ('slicectl stop-all'), look at what the report names on the host, and report the fault as Docs/security.md says"
    case .authorization:
      "one owner reaches what is another's: \(Self.closing) until sliced is mended, and report the fault as Docs/security.md says; 'slicectl events' shows who did what"
    case .validation:
      "sliced takes what it must refuse: \(Self.closing), remove what the case has named, and report the fault as Docs/security.md says"
    case .messageBounds:
      "one client can keep others from being served: restart sliced (slices go on), find the client with 'ss -xp', and report the fault as Docs/security.md says"
    case .escaping:
      "what a slice prints can drive your terminal: read logs and lists through 'cat -v' until slicectl is mended, and report the fault as Docs/security.md says"
    }
  }
}

extension ConformanceCase {
  /// Those that it needs, else those any one of which would hold.
  var named: [Defence] { defences.isEmpty ? depth : defences }

  /// What to do when it fails: for each defence that could be the missing one, once, and when none of that helps.
  public var remedy: [String] {
    var texts: [String] = []
    for defence in defences + depth where !texts.contains(defence.remedy) {
      texts.append(defence.remedy)
    }
    // What is as it must be, and fails all the same, nobody has known.
    return texts + [
      "where all of this is as it must be and 'slicectl conformance --only \(id)' fails again: give slices to nobody whom you don't trust, and report it with that command's output as Docs/security.md says"
    ]
  }
}
