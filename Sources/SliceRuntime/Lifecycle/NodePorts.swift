import SliceKernel
import SliceModel

/// Ports of the host that slices publish.
extension Node {
  /// What is published of a slice just now, in the order of its list.
  public func publishedPorts(_ record: SliceRecord) -> [(port: PublishedPort, isPublished: Bool)] {
    let present = environment.publisher.published(record.number)
    return record.spec.settings.publishedPorts.map { ($0, present.contains($0)) }
  }

  /// Gives a slice the ports that it publishes, if no other has one of them. The table's lock is held.
  ///
  /// - Parameter bounds: nil for who may see all slices.
  func claimPorts(
    _ settings: Settings, for slice: ManagedSlice, within bounds: OwnerBounds?,
    in table: [SliceName: ManagedSlice]
  ) throws(SliceError) {
    let wanted = settings.publishedPorts
    let sharing = wanted.isEmpty ? [] : table.values.flatMap { $0.sharedPorts }
    if let port = wanted.first(where: { port in sharing.contains { $0.contains(port.host.port) } })
    {
      throw SliceError(
        .failed,
        "net.publish=\(port): port \(port.host) of the host belongs to a slice that shares its address",
        hint: "choose another port of the host")
    }
    do throws(PortTable.Obstacle) {
      try ports.claim(wanted, for: slice.name)
    } catch {
      switch error {
      case .taken(let port, let holder):
        let isVisible =
          bounds == nil || table[holder]?.record.owner == slice.record.owner
        throw SliceError(
          .failed,
          "net.publish=\(port): port \(port.host) of the host belongs to \(isVisible ? "slice '\(holder)'" : "another slice")",
          hint: "choose another port of the host")
      case .full:
        throw SliceError(
          .failed, "net.publish: this node publishes \(Translation.mostPorts) ports at most",
          hint: "publish fewer")
      }
    }
  }

  /// Takes back what a slice has claimed beyond what its record says.
  func releasePorts(of slice: ManagedSlice, beyondRecordAfter tried: Settings) {
    let kept = Set(slice.record.spec.settings.publishedPorts.map(\.host))
    ports.release(tried.publishedPorts.filter { !kept.contains($0.host) }, of: slice.name)
  }

  /// Takes again the ports of slices that an earlier supervisor started, before the first of their
  /// links gets this one's classifier: so that no answer is dropped meanwhile. A port that somebody has
  /// taken since is theirs, and the slice goes on without: returns those, by the slice's name.
  func recoverPorts(
    of records: [SliceRecord]
  ) throws(SliceError) -> [(slice: String, details: [String: String])] {
    var lost: [(String, [String: String])] = []
    for record in records {
      for one in try environment.adoptPorts(record) {
        lost.append((record.name, ["port": "\(one.port)", "reason": one.reason.message]))
      }
    }
    return lost
  }
}
