import SliceKernel
import SliceModel

/// Removing slices.
extension Node {
  /// Removes the slice and all that it used.
  public func destroy(_ slice: ManagedSlice, force: Bool, by user: String) throws(SliceError) {
    if force { slice.shortenGrace(milliseconds: 0) }
    try slice.gate.run("destroy", on: slice.name) { () throws(SliceError) in
      try requireExistence(slice)
      if slice.record.run != nil {
        guard force else {
          throw SliceError(
            .failed, "it is running", hint: "'slicectl stop \(slice.name)' first, or give --force")
        }
        try eraseAndKill(slice)
      }
      try remove(slice, by: user)
    }
  }

  /// The record first: what a crash leaves of the rest is then an orphan, killed and removed by the next
  /// start.
  private func eraseAndKill(_ slice: ManagedSlice) throws(SliceError) {
    slice.update { $0.wanted = .stopped }
    try slice.erase { () throws(SliceError) in try store.remove(slice.name) }
    do throws(SliceError) {
      try kill(slice)
    } catch {
      // It goes on living, so it must be known.
      slice.unerase()
      try save(slice)
      throw error
    }
  }

  /// Removes a slice that does not run. The gate is held.
  func remove(_ slice: ManagedSlice, by user: String) throws(SliceError) {
    try slice.erase { () throws(SliceError) in try store.remove(slice.name) }
    let leftovers = discard(slice)
    guard leftovers.isEmpty else {
      throw SliceError(.failed, "not everything could be removed").leaving(leftovers)
    }
    report(slice, "destroyed", by: user)
  }

  /// Removes everything of a slice that does not run, and its name. Returns what stayed.
  func discard(_ slice: ManagedSlice) -> [String] {
    // Never used, they must not serve another slice: their link is about to be retired.
    _ = slice.takeNamespaces()
    let leftovers = environment.cleanUp(slice.record) + environment.remove(slice.record)
    guard leftovers.isEmpty else { return leftovers }
    table.withLock {
      $0[slice.name] = nil
      ports.release(slice.record.spec.settings.publishedPorts, of: slice.name)
    }
    environment.release(slice.number, nil)
    do throws(SliceError) {
      try protectFloors(with: slice.settings)
    } catch {
      return [error.message]
    }
    return []
  }
}
