import SliceKernel
import SliceModel

/// Taking away what was built.
extension SliceEnvironment {
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
