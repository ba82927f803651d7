/// Communication between processes, which must end at the slice's border: with the host, and with another slice.
enum CommunicationCases {
  static let all: [ConformanceCase] = withHost + withNeighbour + keys

  private static let kinds: [(String, String, String, Defence)] = [
    ("shared-memory", "System V shared memory", "shmget(2)", .ipcNamespace),
    ("semaphores", "System V semaphores", "semget(2)", .ipcNamespace),
    ("messages", "System V message queues", "msgget(2)", .ipcNamespace),
    ("posix-queue", "POSIX message queues", "mq_overview(7)", .ipcNamespace),
    ("posix-memory", "POSIX shared memory", "shm_overview(7)", .rootChange),
    ("abstract-socket", "abstract Unix sockets", "CVE-2020-15257", .networkNamespace),
    ("listed-socket", "the table of Unix sockets", "proc_net(5)", .networkNamespace),
  ]

  private static let withHost = kinds.map { name, what, reference, defence in
    ConformanceCase.probe(
      "ipc.host-\(name)", "\(what) of the host are out of reach", reference, needs: [defence],
      probe: "ipc.\(name)", .hostTag, control: .host(nil))
  }

  private static let withNeighbour = kinds.map { name, what, reference, defence in
    ConformanceCase.probe(
      "ipc.neighbour-\(name)", "\(what) of another slice are out of reach", reference,
      // Held by the other slice's namespaces as much as by this one's.
      depth: [defence], probe: "ipc.\(name)", .neighbourTag, control: .host(.hostTag))
  }

  private static let keys: [ConformanceCase] = [
    .probe(
      "key.quota", "a slice uses none of the quota of keys, which is one for the host",
      "keyrings(7), /proc/sys/kernel/keys", needs: [.callFilter]),
    .script(
      "key.launch", "no key is left by making slices, however many", "keyrings(7), /proc/key-users",
      depth: [.callFilter], keysOfLaunches),
    .probe(
      "key.add", "no key is added, so none of the host's quota is used", "keyrings(7)",
      needs: [.callFilter]),
    .probe("key.keyring", "no keyring is had", "keyctl(2)", needs: [.callFilter]),
    .probe(
      "key.request", "no key is asked for, nor a program of the host's run for it",
      "request_key(2)", needs: [.callFilter]),
    .probe(
      "ipc.hostname", "another slice's hostname is not seen", "uts_namespaces(7)",
      depth: [.hostnameNamespace], .neighbourName, control: .host(.text(File.hostName))),
  ]

  /// A runtime that gives each container a session keyring exhausts the host's quota with some hundred.
  private static func keysOfLaunches(_ bed: TestBed) throws -> Verdict {
    guard let before = File.keyCount() else {
      throw TestBed.Unenforceable(reason: "no /proc/key-users")
    }
    var slices: [String] = []
    for _ in 0..<(bed.tools.thorough ? 1000 : 8) {
      slices.append(try bed.slice(settings: ["net.mode=none"]))
    }
    // That commands leave none either takes no more than some of them.
    for slice in slices.prefix(8) { _ = try bed.probe(in: slice, ["run", "key.quota"]) }
    let after = File.keyCount() ?? 0
    try bed.destroy(slices)
    // Others of the host may get a key meanwhile, hardly one for each slice.
    guard after - before < slices.count else {
      return .fail("\(slices.count) slices have left \(after - before) keys, by /proc/key-users")
    }
    let control = ProbeAnswer.all(in: try bed.probe(["run", "key.quota"]).output).values.first
    return control?.outcome == .broken
      ? .pass : .skip("keys are not counted on this host: \(control?.text ?? "no answer")")
  }
}
