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
  let sliceInit: SharedFD
  let null: SharedFD

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

  func link(_ number: Int, sharing node: NodeAddress? = nil) -> SliceLink {
    let own = policy.link(number, hasIPv6: hasIPv6)
    guard let node else { return own }
    return SliceLink(number: number, sharing: node, gateways: own.gateways)
  }

  func idRange(_ number: Int) -> IDRange { policy.idRange(number) }

  /// Of the slice's writable layer, see `SliceStorage`.
  func project(_ number: Int) -> UInt32 { idRange(number).first }

  func sliceLayout(_ record: SliceRecord) throws(SliceError) -> SliceLayout {
    layout.slice(try SliceName(record.name))
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
}
