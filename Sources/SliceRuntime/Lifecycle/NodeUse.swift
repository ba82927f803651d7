import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// What a slice uses.
public struct SliceUse: Sendable, Hashable {
  public var cgroup = CgroupUse()
  /// Nil where the slice has no link.
  public var link: LinkStatistics?
  public var drops: DropStatistics?
  /// What it has made below its own cgroup, and how many more there are; where that was asked for.
  public var children: [CgroupTree] = []
  public var moreChildren = 0
  public init() {}
}

/// What all slices together use, and of what.
public struct NodeUse: Sendable, Hashable {
  /// When it was looked at, on the monotonic clock: for rates between two samples.
  public var clockNanoseconds: UInt64
  /// Of the slices' common parent.
  public var cgroup = CgroupUse()
  /// Its ceilings; nil where there is none.
  public var maximumCores: Double?
  public var maximumMemoryBytes, maximumProcesses: UInt64?
  /// What the host has.
  public var processors: Int
  public var memoryBytes: UInt64?
  /// Nil where not all links were looked at.
  public var link: LinkStatistics?
}

extension Node {
  /// How much of a tree is shown: of one slice, and of all together.
  private static let treeLimits = (slice: 100, all: 5_000)

  /// What slices use now, in the order of `records` and as `body` puts it, and what all of the node use
  /// together.
  ///
  /// With a thousand slices that is ten thousand small files: so each cgroup is looked up once for
  /// all of its files, links are asked for all at once, for a slice that doesn't run nothing is read,
  /// and the work is shared between threads.
  /// - Parameter body: is called on any thread.
  public func use<Result: Sendable>(
    of records: [SliceRecord], tree: Bool,
    _ body: @escaping @Sendable (SliceRecord, SliceUse) -> Result
  ) -> (slices: [Result], node: NodeUse) {
    var node = use()
    let links = links(of: records)
    if links.areAll { node.link = LinkStatistics(addingUp: links.byNumber.values) }
    // It was made at the start and stays.
    guard let parent = (try? Files.open(cgroup.slices.path, kernel_path_only | O_DIRECTORY)) else {
      return (records.map { body($0, SliceUse()) }, node)
    }
    let directory = SharedFD(parent, label: cgroup.slices.path)
    let parts = Parallel.parts(of: records.count, each: 100, atMost: 4)
    let slices = Parallel.map(parts) { [controllers = cgroup.controllers] range in
      var left = tree ? Self.treeLimits.all / parts.count : 0
      return records[range].map { record in
        guard record.run != nil else { return body(record, SliceUse()) }
        var use = SliceUse(
          record.name, in: directory, controllers, treeLimit: min(left, Self.treeLimits.slice))
        use.link = links.byNumber["\(record.number)"]
        use.drops = links.drops[SliceLink.name(record.number)]
        left -= use.children.reduce(0) { $0 + $1.count }
        return body(record, use)
      }
    }
    return (Array(slices.joined()), node)
  }

  /// By number; drops by link. A failure leaves the figures out: they are null then.
  private func links(
    of records: [SliceRecord]
  ) -> (byNumber: [String: LinkStatistics], drops: [String: DropStatistics], areAll: Bool) {
    let prefix = SliceLink.prefix
    if records.count == 1 {
      let record = records[0]
      guard record.run != nil, record.spec.settings.networkMode != .none else {
        return ([:], [:], false)
      }
      var drops: [String: DropStatistics] = [:]
      drops[SliceLink.name(record.number)] = self.drops(record)
      return (linkStatistics(record).map { ["\(record.number)": $0] } ?? [:], drops, false)
    }
    guard var all = try? environment.network.statistics(prefix: prefix) else {
      return ([:], [:], false)
    }
    let drops = (try? environment.classifier?.drops()) ?? [:]
    for (link, counts) in drops { all[String(link.dropFirst(prefix.count))]?.account(for: counts) }
    return (all, drops, true)
  }

  private func use() -> NodeUse {
    var use = NodeUse(
      clockNanoseconds: kernel_monotonic(),
      processors: max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    if pages > 0 { use.memoryBytes = UInt64(pages) * UInt64(getpagesize()) }
    if let group = try? Files.open(cgroup.slices.path, kernel_path_only | O_DIRECTORY) {
      use.cgroup = CgroupUse(cgroup: group, controllers: cgroup.controllers)
    }
    func ceiling(_ file: String) -> UInt64? {
      (try? cgroup.slices.read(file)).flatMap { UInt64($0) }
    }
    use.maximumMemoryBytes = ceiling("memory.max")
    use.maximumProcesses = ceiling("pids.max")
    // `max 100000` or `QUOTA PERIOD`
    let quota = (try? cgroup.slices.read("cpu.max"))?.split(separator: " ").compactMap {
      Double($0)
    }
    if let quota, quota.count == 2, quota[1] > 0 { use.maximumCores = quota[0] / quota[1] }
    return use
  }
}

extension SliceUse {
  /// - Parameter treeLimit: 0: the tree is not looked at.
  fileprivate init(
    _ name: String, in parent: SharedFD, _ controllers: Set<String>, treeLimit: Int
  ) {
    // It may just have ended.
    guard let limits = try? Self.open(name, in: parent.rawValue) else { return }
    cgroup = CgroupUse(cgroup: limits, controllers: controllers)
    guard treeLimit > 0, let own = try? Self.open(SliceCgroup.inner, in: limits.rawValue) else {
      return
    }
    (children, moreChildren) = CgroupTree.below(own, limit: treeLimit, controllers: controllers)
  }

  private static func open(_ name: String, in parent: Int32) throws(SystemError) -> OwnedFD {
    OwnedFD(
      adopting: try retryingInterrupts("openat", name) {
        openat(parent, name, kernel_path_only | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      })
  }
}

extension LinkStatistics {
  fileprivate init(addingUp all: some Sequence<LinkStatistics>) {
    self.init(
      sentBytes: 0, sentPackets: 0, receivedBytes: 0, receivedPackets: 0, droppedPackets: 0)
    for one in all {
      sentBytes += one.sentBytes
      sentPackets += one.sentPackets
      receivedBytes += one.receivedBytes
      receivedPackets += one.receivedPackets
      droppedPackets += one.droppedPackets
      sentDropped += one.sentDropped
      receivedDropped += one.receivedDropped
    }
  }
}

extension CgroupTree {
  /// With all below it.
  fileprivate var count: Int { 1 + children.reduce(0) { $0 + $1.count } }
}
