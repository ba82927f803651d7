import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Builds on the host what one slice needs, and takes it away again. Knows no table of slices: all
/// it does follows from a record, and can be repeated.
struct SliceEnvironment: Sendable {
  let layout: NodeLayout
  let policy: NodePolicy
  let cgroup: NodeCgroup
  let images: ImageStore
  let storage: SliceStorage
  let network: NetworkControl
  let nodeAddress: SharedAddress
  /// Nil where the kernel cannot run one; `classifierGap` says why.
  let classifier: Classifier?
  let classifierGap: String?
  let uplinks: UplinkKeeper
  /// Nil without a classifier.
  let flows: FlowAudit?
  let hasIPv6: Bool
  let numbers: Numbers
  let pool: NamespacePool
  let reaper: LinkReaper
  let maker: NamespaceMaker
  let publisher: PortPublisher
  let raw: RawSocketKeeper
  let overlays: OverlayKeeper
  let confinements: ConfinementCache
  private let sliceInit: SharedFD
  private let null: SharedFD

  init(
    layout: NodeLayout, policy: NodePolicy, cgroup: NodeCgroup, images: ImageStore,
    storage: SliceStorage
  ) throws(SliceError) {
    self.layout = layout
    self.policy = policy
    self.cgroup = cgroup
    self.images = images
    self.storage = storage
    network = try NetworkControl()
    nodeAddress = SharedAddress(network)
    (classifier, classifierGap) = try Self.makeClassifier(layout, policy, network)
    // Before the first slice is taken over, which has been using them.
    try classifier?.allow(NetworkPolicy.nameServices(Self.nameServers(policy)))
    uplinks = try UplinkKeeper(
      network: network, classifier: classifier, named: policy.network.uplinks,
      total: policy.total.net?.bitsPerSecond, linkPrefix: SliceLink.prefix)
    flows = try classifier.map { (classifier) throws(SliceError) in
      try FlowAudit(layout: layout, terms: policy.flows, classifier: classifier)
    }
    hasIPv6 = Files.exists("/proc/sys/net/ipv6")
    numbers = Numbers(capacity: policy.capacity)
    reaper = try LinkReaper(numbers: numbers)
    maker = NamespaceMaker(
      policy: policy, hasIPv6: hasIPv6, network: network, classifier: classifier)
    pool = try Self.makePool(maker, numbers, reaper)
    publisher = PortPublisher(network: network, classifier: classifier, hasIPv6: hasIPv6)
    confinements = ConfinementCache(try Confinement())
    raw = try RawSocketKeeper(layout: layout)
    overlays = try OverlayKeeper(layout: layout, policy: policy)
    (sliceInit, null) = try reporting("open slice-init", hint: "is the installation complete?") {
      () throws(SystemError) in
      (
        SharedFD(
          try Files.open(layout.programs + "/slice-init", kernel_path_only), label: "slice-init"),
        SharedFD(try Files.open("/dev/null", O_RDWR), label: "/dev/null")
      )
    }
    try prepareNetwork()
  }

  // MARK: - Names and numbers

  func link(_ number: Int, sharing node: NodeAddress? = nil) -> SliceLink {
    let own = policy.link(number, hasIPv6: hasIPv6)
    guard let node else { return own }
    return SliceLink(number: number, sharing: node, gateways: own.gateways)
  }

  func idRange(_ number: Int) -> IDRange { policy.idRange(number) }

  /// Of the slice's writable layer, see `SliceStorage`.
  func project(_ number: Int) -> UInt32 { idRange(number).first }

  private func sliceLayout(_ record: SliceRecord) throws(SliceError) -> SliceLayout {
    layout.slice(try SliceName(record.name))
  }

  // MARK: - The host

  var pools: [AddressPool] {
    [.ipv4(policy.addresses4)] + (hasIPv6 ? [.ipv6(policy.addresses6)] : [])
  }

  private func prepareNetwork() throws(SliceError) {
    try network.enableForwarding(ipv6: hasIPv6)
    try network.installPools(pools)
  }

  /// Makes the table of translations, of all slices that were adopted. Until then that of an earlier
  /// supervisor serves.
  func installTranslation() throws(SliceError) {
    try publisher.install(
      pools, linkPrefix: SliceLink.prefix, ports: policy.network.sharedPorts.translated)
  }

  /// Takes the ports again that a slice of an earlier supervisor publishes. Returns those that somebody
  /// else has taken meanwhile.
  func adoptPorts(
    _ record: SliceRecord
  ) throws(SliceError) -> [(port: PublishedPort, reason: SliceError)] {
    guard record.spec.settings.networkMode == .routed else { return [] }
    return try publisher.adopt(
      record.number, link: SliceLink.name(record.number),
      addresses: link(record.number).addresses, ports: record.spec.settings.publishedPorts)
  }

  /// What is missing here, instead of a classifier, where the kernel cannot run one.
  private static func makeClassifier(
    _ layout: NodeLayout, _ policy: NodePolicy, _ network: NetworkControl
  ) throws(SliceError) -> (Classifier?, String?) {
    do throws(SliceError) {
      try Classifier.requireSupport()
      return (
        try Classifier(
          object: layout.classifier,
          running: try network.runningClassifier(prefix: SliceLink.prefix),
          policy: policy.network), nil
      )
    } catch {
      // Any other failure is no property of the kernel's, and not to be done without.
      guard error.code == .unenforceable else { throw error }
      return (nil, error.message)
    }
  }

  /// Links that nothing would hold to their addresses are not made in advance.
  private static func makePool(
    _ maker: NamespaceMaker, _ numbers: Numbers, _ reaper: LinkReaper
  ) throws(SliceError) -> NamespacePool {
    let own = NamespaceMaker(
      policy: maker.policy, hasIPv6: maker.hasIPv6, network: try NetworkControl(),
      classifier: maker.classifier)
    return NamespacePool(
      size: maker.classifier == nil ? 0 : maker.policy.readyNamespaces, maker: own,
      numbers: numbers, reaper: reaper)
  }

  /// - Parameter share: for a slice that shares the address of `node`.
  func admit(
    _ record: SliceRecord, index: UInt32, node: NodeAddress? = nil, share: Classifier.Share? = nil
  ) throws(SliceError) {
    let settings = record.spec.settings
    let name = SliceLink.name(record.number)
    try uplinks.set(record.number, settings)
    if settings[.netInMax] != nil { try uplinks.setInbound(settings, on: name, index: index) }
    try classifier?.allow(settings.networkAllowances(), to: name, index: index)
    try classifier?.grant(settings.rawGrants(), to: name, index: index)
    try flows?.admit(link: index, record)
    try classifier?.admit(
      link(record.number, sharing: node), index: index, owner: record.owner, share: share)
  }

  /// Has a slice's link pass nothing any more, and go.
  private func retireLink(_ number: Int) throws(SliceError) {
    let name = SliceLink.name(number)
    uplinks.remove(number)
    guard let classifier else { return try network.deleteLink(name) }
    if let index = try classifier.dismiss(name) { flows?.dismiss(link: index) }
    reaper.retire(number)
  }

  /// Puts this supervisor's classifier on the link of a slice that an earlier one started.
  func adoptLink(_ record: SliceRecord, process: PidFD) throws(SliceError) {
    guard let classifier, record.spec.settings.networkMode != .none else { return }
    // Without a link the slice is about to end.
    let link = SliceLink.name(record.number)
    // First of all, so that nothing that it may reach is refused for a moment.
    let present = if_nametoindex(link)
    if present != 0 {
      try classifier.allow(record.spec.settings.networkAllowances(), to: link, index: present)
      try classifier.grant(record.spec.settings.rawGrants(), to: link, index: present)
    }
    guard let index = try network.attach(classifier, to: link) else { return }
    // Should there be a bound that the record doesn't know.
    try uplinks.setInbound(record.spec.settings, on: link, index: index)
    if record.spec.settings.networkMode == .shared {
      try readmitShared(record, index: index, process: process)
    } else {
      try admit(record, index: index)
    }
  }

  /// Changes the bandwidth of a slice that runs, all or nothing.
  func changeBandwidth(
    _ record: SliceRecord, to new: Settings, insteadOf old: Settings
  ) throws(SliceError) {
    let link = SliceLink.name(record.number)
    let index = if_nametoindex(link)
    // Without a link the slice is about to end.
    guard new.networkMode != .none, index != 0 else { return }
    try uplinks.set(record.number, new)
    do throws(SliceError) {
      guard new[.netInMax] != old[.netInMax] else { return }
      try uplinks.setInbound(new, on: link, index: index)
    } catch {
      try uplinks.set(record.number, old)
      throw error
    }
  }

  /// What a slice that runs may reach from now on.
  func allow(_ settings: Settings, to record: SliceRecord) throws(SliceError) {
    try classifier?.allow(settings.networkAllowances(), to: SliceLink.name(record.number))
  }

  // MARK: - Building

  /// What slices are told to ask for names.
  private static func nameServers(_ policy: NodePolicy) -> [String] {
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

  /// The namespaces that the slice starts in, its link open for its packets.
  private func namespaces(
    _ record: SliceRecord, _ ready: SliceNamespaces?, _ undo: inout Undo
  ) throws(SliceError) -> SliceNamespaces {
    let number = record.number
    let mode = record.spec.settings.networkMode
    guard mode != .none else { return try maker.make(number, linked: false) }
    if mode == .shared { try requireShared(record.spec.settings.ports) }
    // It may have been created under another kernel.
    if let classifierGap, !record.spec.allowUnenforced, !policy.allowUnenforced {
      throw SliceError(.unenforceable, "this host cannot enforce net.mode (\(classifierGap))")
    }
    if let gap = publisher.gap, record.spec.settings[.netPublish] != nil,
      !record.spec.allowUnenforced, !policy.allowUnenforced
    {
      throw SliceError(.unenforceable, "this host cannot enforce net.publish (\(gap))")
    }
    try network.requireFree(link(number).addresses)
    undo.add("link \(SliceLink.name(number))") { try retireLink(number) }
    let namespaces: SliceNamespaces
    if let ready {
      namespaces = ready
    } else {
      // The link of its last run.
      try reaper.finish(number)
      namespaces = try mode == .shared ? makeShared(record) : maker.make(number, linked: true)
    }
    if let index = namespaces.link {
      // Should anything still be admitted under the name.
      _ = try classifier?.dismiss(SliceLink.name(number))
      if mode == .shared {
        try admitShared(record, index: index, namespaces.network)
      } else {
        try admit(record, index: index)
        undo.add("published ports") { try publisher.end(number) }
        try publisher.begin(
          number, link: SliceLink.name(number), addresses: link(number).addresses,
          ports: record.spec.settings.publishedPorts)
      }
    }
    return namespaces
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

  // MARK: - Executing

  func execute(
    _ request: ExecutionRequest, in record: SliceRecord, process: PidFD
  ) throws(SliceError) -> Execution {
    let name = try SliceName(record.name)
    let (namespaces, group) = try reporting("join \(name)") { () throws(SystemError) in
      (try NamespaceSet(of: process), try cgroup.slice(name).processes.open())
    }
    let range = idRange(record.number)
    let terminal = try request.terminal.map { (size) throws(SliceError) in
      try reporting("open a terminal in \(name)") { () throws(SystemError) in
        try SliceTerminal(in: process, owner: range.first, size: size)
      }
    }
    let command = ServiceInvocation(
      command: request.command ?? [LoginShell.find(in: process, user: request.user), "-l"],
      environment: images.defaults(of: record.image).environment + record.spec.environment
        + request.environment,
      user: request.user, workdir: request.workdir, restart: .no)
    let streams = terminal.map { [$0.slave, $0.slave, $0.slave] } ?? request.streams
    let listening = try rawSocketsOfCommand(record)
    var plan = EnterPlan(
      slice: namespaces, cgroup: group,
      confinement: try confinements.ofEntry(record.spec.settings, asking: listening != nil),
      sliceInit: sliceInit, command: command, streams: streams, terminal: terminal != nil,
      listening: listening
    ).plan
    do throws(LaunchFailure) {
      return Execution(process: try plan.run(), terminal: terminal?.master)
    } catch {
      guard error.place == .parent, error.code == EBUSY else {
        throw LaunchDiagnosis(error, command: command).error
      }
    }
    plan.cgroup = try reporting("join \(name)") { () throws(SystemError) in
      try cgroup.slice(name).visitors().open()
    }
    do throws(LaunchFailure) {
      return Execution(process: try plan.run(), terminal: terminal?.master)
    } catch {
      throw LaunchDiagnosis(error, command: command).error
    }
  }

  // MARK: - Taking away

  /// Removes what a run left on the host. Says what could not be removed.
  func cleanUp(_ record: SliceRecord) -> [String] {
    attempts([
      (
        "cgroup",
        {
          let group = cgroup.slice(try SliceName(record.name)).limits
          if group.exists { try group.kill() }
          try group.remove()
        }
      ),
      ("raw sockets", { raw.end(try SliceName(record.name)) }),
      ("published ports", { try publisher.end(record.number) }),
      ("links in overlays", { try overlays.dismiss(record) }),
      (
        "link",
        {
          guard record.spec.settings.networkMode != .none else { return }
          try retireLink(record.number)
        }
      ),
      ("control socket", { try Files.remove(try sliceLayout(record).control) }),
    ])
  }

  /// Removes what a slice has on disk.
  func remove(_ record: SliceRecord) -> [String] {
    attempts([
      ("overlays", { try overlays.forget(record) }),
      ("runtime directory", { try Files.removeTree(try sliceLayout(record).runtime) }),
      // The record first: what a crash leaves of the rest is then an orphan, and goes at the start.
      ("record", { try Files.remove(try sliceLayout(record).record) }),
      ("state directory", { try Files.removeTree(try sliceLayout(record).state) }),
      (
        "storage",
        { try storage.remove(try sliceLayout(record), project: project(record.number)) }
      ),
    ])
  }

  /// Removes what belongs to no living slice. Returns it in words.
  ///
  /// - Parameters:
  ///   - linked: numbers of the slices that live.
  ///   - known: of all that there are.
  func removeOrphans(
    directories: [String], living: Set<String>, linked: Set<Int>, known: Set<Int>
  ) -> [String] {
    var removed: [String] = []
    func sweep(_ what: String, _ action: () throws -> Void) {
      do {
        try action()
        removed.append(what)
      } catch {
        removed.append("\(what), which could not be removed: \(error)")
      }
    }
    for name in directories {
      sweep("directory \(name)") { try Files.removeTree(layout.slices + "/" + name) }
    }
    // What cannot be listed cannot be swept; the next create would say why.
    for name in (try? Files.list(layout.running)) ?? [] where !living.contains(name) {
      // The last status of a slice that is stopped is worth keeping until it is destroyed.
      guard !Files.exists(layout.slices + "/" + name) else { continue }
      sweep("runtime directory \(name)") { try Files.removeTree(layout.running + "/" + name) }
    }
    for name in (try? Files.list(cgroup.slices.path)) ?? [] where !living.contains(name) {
      let orphan = cgroup.slices.child(name)
      // Else a file of the cgroup itself, or what is no slice's.
      guard SliceName.isValid(name), orphan.has("cgroup.procs") else { continue }
      sweep("cgroup \(name)") {
        try orphan.kill()
        try orphan.remove()
      }
    }
    let links = ((try? network.links(prefix: SliceLink.prefix)) ?? []).filter {
      SliceLink.number(of: $0).map { !linked.contains($0) } ?? true
    }
    do throws(SliceError) {
      try network.deleteLinks(links)
      // Those without a slice are no news: an earlier supervisor kept them ready.
      removed += links.filter { SliceLink.number(of: $0).map(known.contains) ?? true }.map {
        "link \($0)"
      }
    } catch {
      removed.append("links of no slice, which could not be removed: \(error.message)")
    }
    do {
      try classifier?.dismissOthers()
    } catch {
      removed.append("links of the classifier, which could not be forgotten: \(error)")
    }
    return removed
  }

  private func attempts(_ steps: [(what: String, action: () throws -> Void)]) -> [String] {
    steps.compactMap { step in
      do {
        try step.action()
        return nil
      } catch {
        return "\(step.what): \(error)"
      }
    }
  }
}
