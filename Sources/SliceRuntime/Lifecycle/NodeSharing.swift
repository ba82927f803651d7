import SliceKernel
import SliceModel

/// Who has which ports of the node's address: first come, first served.
extension Node {
  /// The settings of a slice of net.mode=shared with ports, where it asks for none. Refuses those that
  /// another has. Needs the table's lock held, so that nothing is given twice.
  ///
  /// - Parameters:
  ///   - slice: which is to have them; nil: one that isn't in the table yet.
  ///   - current: what it has already.
  func withPorts(
    _ settings: Settings, for slice: ManagedSlice?, owner: UInt32,
    in table: [SliceName: ManagedSlice],
    within bounds: OwnerBounds?, insteadOf current: Settings? = nil
  ) throws(SliceError) -> Settings {
    guard settings.networkMode == .shared else { return settings }
    let others = table.values.filter { $0 !== slice }
    let policy = policy.network.sharedPorts
    guard let wanted = settings.ports else {
      let block = try policy.freeBlock(beside: others.flatMap { $0.sharedPorts }) { range in
        ports.firstTaken(of: PortRanges(range)) == nil
          && (try? NetworkControl.requireFree(range)) != nil
      }
      var complete = settings
      try complete.set(.netPorts, to: block.description)
      return complete
    }
    guard wanted != current?.ports else { return settings }
    try policy.admit(wanted, within: bounds)
    for other in others {
      guard let port = other.sharedPorts.lazy.compactMap({ $0.firstCommon(with: wanted) }).first
      else {
        continue
      }
      let isVisible = bounds == nil || other.record.owner == owner
      throw SliceError(
        .failed,
        "net.ports=\(wanted): port \(port) belongs to \(isVisible ? "slice '\(other.name)'" : "another slice")",
        hint: "choose others, or leave net.ports out to get \(SharedPorts.block) that are free")
    }
    if let taken = ports.firstTaken(of: wanted) {
      throw SliceError(
        .failed, "net.ports=\(wanted): a slice publishes port \(taken.port)",
        hint: "choose others, or leave net.ports out to get \(SharedPorts.block) that are free")
    }
    return settings
  }

  /// Refuses ports that are new to a slice and that the host itself uses.
  func requirePorts(_ new: Settings, insteadOf old: Settings) throws(SliceError) {
    guard let ports = new.ports, ports != old.ports else { return }
    let added = ports.ranges.lazy.joined().filter { old.ports?.contains($0) != true }
    do throws(SliceError) {
      try NetworkControl.requireFree(added)
    } catch {
      throw error.within("net.ports=\(ports)")
    }
  }

  /// Changes the ports of a slice that runs.
  func give(
    _ new: PortRanges?, insteadOf old: PortRanges?, to slice: ManagedSlice
  ) throws(SliceError) {
    guard let new, new != old, let process = slice.process else { return }
    try environment.give(new, slice.record, process: process)
  }

  /// Gives slices that run the node's address again, when that has changed.
  func followNodeAddress(_ running: [ManagedSlice]) {
    let sharing = running.filter { $0.record.spec.settings.networkMode == .shared }
    guard !sharing.isEmpty, environment.nodeAddress.hasChanged() else { return }
    for slice in sharing {
      // Not beside whoever starts or stops it.
      do throws(SliceError) {
        _ = try perform("readdress", slice) { () throws(SliceError) in
          guard let process = slice.process else { return }
          try environment.adoptLink(slice.record, process: process)
          report(
            slice, "readdressed", by: nil, ["ipv4": addresses(slice.record)?.ipv4.description ?? ""]
          )
        }
      } catch {
        environment.nodeAddress.owe()
        report(slice, "readdress-failed", by: nil, ["reason": error.message])
      }
    }
  }
}

extension ManagedSlice {
  /// Of the node's address; and those that a change under way will give it.
  var sharedPorts: [PortRanges] {
    let holding = holding
    return [holding.settings, holding.pending].compactMap { $0?.ports }
  }
}
