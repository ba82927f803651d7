import SliceKernel
import SliceModel

/// Looking at slices.
extension Node {
  public func names() -> [SliceName] { table.withLock { $0.keys.sorted() } }

  /// Every record, by name.
  public func records() -> [SliceRecord] {
    let slices = table.withLock { $0.values.map { $0 } }
    return slices.map { $0.record }.sorted { $0.name < $1.name }
  }

  /// The slice of this name. What is then done with it is done with this very one: should it be
  /// destroyed meanwhile, and another get its name, that other is not touched.
  public func slice(_ name: SliceName) throws(SliceError) -> ManagedSlice {
    guard let slice = table.withLock({ $0[name] }) else {
      throw SliceError(
        .noSuchSlice, "there is no slice '\(name)'", hint: "'slicectl list' shows the slices")
    }
    return slice
  }

  /// Names of the slices that use the image with this directory below the store.
  public func users(ofImageDirectory directory: String) -> [String] {
    records().filter { $0.image.directory == directory }.map(\.name)
  }

  public func status(_ name: SliceName) -> ServiceStatus? { ServiceStatus.read(layout.slice(name)) }

  /// Nil where they are not noted.
  public func refusedCalls(_ name: SliceName) -> RefusedCalls? {
    RefusedCalls.read(layout.slice(name))
  }

  public func linkStatistics(_ record: SliceRecord) -> LinkStatistics? {
    // A slice without a link has no figures.
    guard
      var figures = try? environment.network.statistics(SliceLink.name(record.number))
    else { return nil }
    if let drops = drops(record) { figures.account(for: drops) }
    return figures
  }

  /// What the classifier has dropped; nil for a slice without a link.
  public func drops(_ record: SliceRecord) -> DropStatistics? {
    try? environment.classifier?.drops(SliceLink.name(record.number))
  }

  /// Who sent what to whom; nil where the kernel cannot count it.
  public var flows: FlowAudit? { environment.flows }

  /// What a slice has on disk and may have; nil where nothing counts it. A microsecond or two.
  public func storageUse(_ record: SliceRecord) -> ProjectQuotas.Account? {
    storage.account(environment.project(record.number))
  }

  public func addresses(_ record: SliceRecord) -> SliceAddresses? {
    switch record.spec.settings.networkMode {
    case .routed: environment.link(record.number).addresses
    case .shared: environment.nodeAddress.known?.addresses
    case .none: nil
    }
  }
}
