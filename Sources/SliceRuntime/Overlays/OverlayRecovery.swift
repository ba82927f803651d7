import Descriptor
import SliceKernel
import SliceModel

/// What an earlier supervisor left of the overlays, and what of an overlay can be had where not all can.
extension OverlayKeeper {
  /// Takes over what an earlier supervisor left, or builds it anew after a reboot, and removes what
  /// belongs to no overlay. Returns in words what could not be done: no slice's start waits for it.
  ///
  /// - Parameter living: the slices that run, by name.
  func recover(_ living: [String: (record: SliceRecord, process: PidFD)], known: Set<String>)
    throws(SliceError) -> [String]
  {
    let records = try store.load()
    var problems = attempt { () throws(SliceError) in
      try OverlayNetwork.guardCarriers(records.contains(where: \.isCarriedInTheOpen))
    }
    try overlays.withLock { (overlays) throws(SliceError) in
      for var record in records {
        let name = try OverlayName(record.name)
        // Of slices that were destroyed while the supervisor was ended.
        let former = record.members.keys.filter { !known.contains($0) }
        if !former.isEmpty {
          former.forEach { record.members[$0] = nil }
          try store.save(record)
        }
        var held = Held(record: record)
        recover(&held, living)
        if let problem = held.problem { problems.append("overlay \(name): \(problem)") }
        overlays[name] = held
      }
    }
    return problems + removeOrphans(Set(records.map(\.name)))
  }

  /// As much of one overlay as can be had: what fails for one member or peer is no loss of the others.
  private func recover(
    _ held: inout Held, _ living: [String: (record: SliceRecord, process: PidFD)]
  ) {
    let record = held.record
    let network: OverlayNetwork
    do throws(SliceError) {
      network = try ready(&held)
    } catch {
      held.problem = error.message
      return
    }
    var problems = held.problem.map { [$0] } ?? []
    var numbers: Set<Int> = []
    for (slice, (running, process)) in living where record.members[slice] != nil {
      numbers.insert(running.number)
      problems += attempt("member \(slice)") { () throws(SliceError) in
        try adopt(running, process, record, network)
      }
    }
    problems += attempt { () throws(SliceError) in try network.retain(numbers) }
    held.problem = Self.text(problems)
  }

  /// Takes over, or makes, an overlay's carrier, for all peers that it can be had for. Returns what could
  /// not be done.
  func carry(_ record: OverlayRecord, _ network: OverlayNetwork) -> [String] {
    var (peers, problems): ([OverlayPeer], [String]) = ([], [])
    for entry in record.peers {
      problems += attempt { () throws(SliceError) in peers.append(try entry.peer()) }
    }
    guard record.privateKey != nil || !peers.isEmpty else { return problems }
    problems += attempt { () throws(SliceError) in try network.carry(host, for: peers) }
    for peer in peers { problems += attempt { () throws(SliceError) in try network.set(peer) } }
    guard !peers.isEmpty else { return problems }
    if record.isCarriedInTheOpen {
      // Where others can send in this node's name nothing is carried.
      let unguarded = attempt { () throws(SliceError) in try OverlayNetwork.guardCarriers(true) }
      guard unguarded.isEmpty else { return problems + unguarded }
    }
    return problems + attempt { () throws(SliceError) in try network.open() }
  }

  static func text(_ problems: [String]) -> String? {
    problems.isEmpty ? nil : problems.joined(separator: "; ")
  }

  private func adopt(
    _ slice: SliceRecord, _ process: PidFD, _ record: OverlayRecord, _ network: OverlayNetwork
  ) throws(SliceError) {
    guard let address = record.address(of: slice.name) else {
      throw SliceError(.failed, "its address in the record is none")
    }
    let member = try Self.member(slice, at: address)
    let namespace = try NetworkNamespace(of: process)
    if try !network.adopt(member, in: namespace) { try network.attach(member, in: namespace) }
  }

  /// What failed, in words: nothing or one thing.
  func attempt(
    _ what: String? = nil, _ body: () throws(SliceError) -> Void
  ) -> [String] {
    do throws(SliceError) {
      try body()
      return []
    } catch {
      return [(what.map { $0 + ": " } ?? "") + error.message]
    }
  }

  private func removeOrphans(_ known: Set<String>) -> [String] {
    // What cannot be listed cannot be swept; the next create would say why.
    let names = (try? Files.list(layout.overlayNamespaces)) ?? []
    return names.filter { !known.contains($0) }.compactMap { name in
      do throws(SliceError) {
        try OverlayNetwork.remove(keptAt: namespacePath(name))
        return nil
      } catch {
        return "overlay \(name), which could not be removed: \(error.message)"
      }
    }
  }
}
