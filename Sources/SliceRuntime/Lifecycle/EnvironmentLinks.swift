import Glibc
import SliceKernel
import SliceModel

/// Links of slices: what they pass, how fast, from their making to their end.
extension SliceEnvironment {
  var pools: [AddressPool] {
    [.ipv4(policy.addresses4)] + (hasIPv6 ? [.ipv6(policy.addresses6)] : [])
  }

  func prepareNetwork() throws(SliceError) {
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

  /// - Parameter share: for a slice that shares the address of `node`.
  func admit(
    _ record: SliceRecord, index: UInt32, node: NodeAddress? = nil, share: Classifier.Share? = nil
  ) throws(SliceError) {
    let settings = record.spec.settings
    let name = SliceLink.name(record.number)
    try uplinks.set(record.number, settings)
    if settings[.netInMax] != nil { try uplinks.setInbound(settings, on: name, index: index) }
    try classifier?.allow(settings.networkAllowances(), to: name, index: index)
    try grantRawSockets(record, on: name, index: index)
    try flows?.admit(link: index, record)
    try classifier?.admit(
      link(record.number, sharing: node), index: index, owner: record.owner, share: share)
  }

  /// The namespaces that the slice starts in, its link open for its packets.
  func namespaces(
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

  /// Puts this supervisor's classifier on the link of a slice that an earlier one started.
  func adoptLink(_ record: SliceRecord, process: PidFD) throws(SliceError) {
    guard let classifier, record.spec.settings.networkMode != .none else { return }
    // Without a link the slice is about to end.
    let link = SliceLink.name(record.number)
    // First of all, so that nothing that it may reach is refused for a moment.
    let present = if_nametoindex(link)
    if present != 0 {
      try classifier.allow(record.spec.settings.networkAllowances(), to: link, index: present)
      do throws(SliceError) {
        try renewJudge(record, process: process)
      } catch {
        // Its link may outlive a slice for a moment.
        guard process.hasEnded() else { throw error }
      }
      try grantRawSockets(record, on: link, index: present)
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

  /// Has a slice's link pass nothing any more, and go.
  func retireLink(_ number: Int) throws(SliceError) {
    let name = SliceLink.name(number)
    uplinks.remove(number)
    guard let classifier else { return try network.deleteLink(name) }
    if let index = try classifier.dismiss(name) { flows?.dismiss(link: index) }
    reaper.retire(number)
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
}
