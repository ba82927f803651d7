import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// What a slice has on disk, and the start of its first process.
extension SliceEnvironment {
  /// What slices are told to ask for names.
  static func nameServers(_ policy: NodePolicy) -> [String] {
    policy.nameServers.isEmpty ? EtcFiles.hostNameServers() : policy.nameServers
  }

  /// What a slice has on disk from its creation to its end.
  func build(_ record: SliceRecord) throws(SliceError) {
    let place = try sliceLayout(record)
    let name = try SliceName(record.name)
    let owner = idRange(record.number).first
    let servers = Self.nameServers(policy)
    try classifier?.allow(NetworkPolicy.nameServices(servers))
    let addresses =
      record.spec.settings.networkMode == .routed ? link(record.number).addresses : nil
    try reporting("make \(place.state)") { () throws(SystemError) in
      try Files.makeDirectory(place.state, mode: 0o700)
      try Files.makeDirectory(place.log, mode: 0o755)
      try checked("chown", place.log) { chown(place.log, owner, owner) }
    }
    try storage.make(place, owner: owner, settings: record.spec.settings)
    try reporting("fill \(place.upper)") { () throws(SystemError) in
      try EtcFiles.write(
        upper: place.upper, name: name, addresses: addresses, nameServers: servers, owner: owner)
    }
  }

  /// Starts the slice's first process. On failure nothing of the start is left.
  ///
  /// - Parameter ready: namespaces of its number, with a link; nil: none were made in advance.
  func start(
    _ record: SliceRecord, defaults: ImageDefaults, ready: SliceNamespaces?
  ) throws(SliceError) -> (PidFD, SliceRecord.Run) {
    var undo = Undo()
    do {
      let process = try start(record, defaults, ready, &undo)
      let run = try reporting("identify slice-init") { () throws(SystemError) in
        SliceRecord.Run(
          pid: process.pid, startTicks: try BootIdentity.startTicks(of: process.pid),
          bootID: try BootIdentity.current(), startedAt: Clock.now, paused: false,
          hasRawSockets: record.spec.settings[.rawAllow] != nil)
      }
      undo.commit()
      return (process, run)
    } catch {
      throw error.leaving(undo.roll())
    }
  }

  private func start(
    _ record: SliceRecord, _ defaults: ImageDefaults, _ ready: SliceNamespaces?,
    _ undo: inout Undo
  ) throws(SliceError) -> PidFD {
    let name = try SliceName(record.name)
    let place = try sliceLayout(record)
    let range = idRange(record.number)
    try storage.requireBounds(record, place, project: range.first)

    let group = cgroup.slice(name)
    undo.add("cgroup") {
      if group.limits.exists { try group.limits.kill() }
      try group.limits.remove()
    }
    try group.create(settings: record.spec.settings, device: storage.device, owner: range.first)

    let namespaces = try namespaces(record, ready, &undo)
    undo.add(place.runtime) { try Files.removeTree(place.runtime) }
    let (confinement, answers) = try confinements.ofStart(record.spec.settings)
    var descriptors = try openDescriptors(place, answers: answers)
    let listening = try prepareRawSockets(record, namespaces, &descriptors, &undo)
    undo.add("links in overlays") { try overlays.dismiss(record) }
    // After raw sockets, whose judge is put on these links too.
    try overlays.attach(record, in: namespaces.network)
    let plan = StartPlan(
      root: try rootFileSystem(record, place, namespaces.user), hostname: name.text,
      network: namespaces.network.descriptor, userNamespace: namespaces.user.descriptor,
      cgroup: try reporting("open the cgroup") { () throws(SystemError) in
        try group.processes.open()
      },
      confinement: confinement, sliceInit: sliceInit,
      service: Self.invocation(record.spec, defaults), descriptors: descriptors,
      listening: listening
    ).plan
    do {
      let process = try plan.run()
      undo.add("process \(process.pid)") {
        try process.signal(SIGKILL)
        _ = try process.wait()
      }
      return process
    } catch {
      throw LaunchDiagnosis(error, command: Self.invocation(record.spec, defaults)).error
    }
  }

  /// Refuses filters that cannot be.
  func requireFilters(_ settings: Settings) throws(SliceError) {
    _ = try confinements.ofStart(settings)
  }

  /// - Parameter answers: to calls that are refused and noted; nil: they are not.
  private func openDescriptors(
    _ place: SliceLayout, answers: [UInt8]?
  ) throws(SliceError) -> ServiceDescriptors {
    try reporting("prepare slice-init's files") { () throws(SystemError) in
      try Files.removeTree(place.runtime)
      try Files.makeDirectory(place.runtime, mode: 0o700)
      return ServiceDescriptors(
        null: null,
        control: SharedFD(
          OwnedFD(
            adopting: try checked("bind", place.control) {
              kernel_listen_seqpacket(place.control)
            }), label: "control socket"),
        log: SharedFD(try Files.open(place.log, O_RDONLY | O_DIRECTORY), label: "log directory"),
        status: SharedFD(
          try Files.open(place.status, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600),
          label: "status file"),
        refusals: try RefusedCalls.makeFile(place.refusals, answers: answers))
    }
  }

  private func rootFileSystem(
    _ record: SliceRecord, _ place: SliceLayout, _ identity: UserNamespace
  ) throws(SliceError) -> RootFileSystem {
    let tree = images.tree(record.image)
    let image: SharedFD
    do {
      image = try MountTree.clone(
        tree, attributes: [.readOnly, .noDevices], mapping: identity, label: "image")
    } catch {
      guard error.code == EINVAL else { throw SliceError(error).within("show the image") }
      throw SliceError(
        .unenforceable, "the file system of \(layout.state) cannot map the owners of files",
        hint: "keep the state directory on ext4, xfs, btrfs, or tmpfs (Linux 6.3)")
    }
    return RootFileSystem(
      stage: layout.stage, image: image, upper: place.upper, work: place.work,
      hostTrees: record.image.usesHostPrograms ? try hostTrees() : [],
      mounts: record.spec.mounts, range: identity.range,
      requests: try requestDirectory(record, place),
      hasTunnels: try record.spec.settings.rawGrants()?.tunnels.isEmpty == false)
  }

  /// The host's programs, with owners as they are: to the slice they belong to nobody, and it reads
  /// what everybody on the host may read. Mapped, its root would own them, and so could read what is
  /// closed to all but the host's root, keys below /usr/local for instance.
  private func hostTrees() throws(SliceError) -> [(tree: SharedFD, place: String)] {
    var trees: [(tree: SharedFD, place: String)] = []
    for name in HostTree.hostDirectories() { trees.append((try hostTree("/" + name), name)) }
    return trees
  }

  private func hostTree(_ path: String) throws(SliceError) -> SharedFD {
    try reporting("show \(path)") { () throws(SystemError) in
      try MountTree.clone(
        path, attributes: [.readOnly, .noSetuid, .noDevices], recursive: true,
        label: "host's \(path)")
    }
  }

  static func invocation(_ spec: SliceSpec, _ defaults: ImageDefaults) -> ServiceInvocation {
    let command = spec.command ?? (defaults.command.isEmpty ? nil : defaults.command)
    return ServiceInvocation(
      command: command,
      environment: defaults.environment + spec.environment,
      user: spec.user ?? defaults.user, workdir: spec.workdir ?? defaults.workdir,
      restart: spec.restart)
  }
}
