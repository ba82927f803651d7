import CClassifier
import SliceModel

/// What has been put into the classifier's maps for one link.
struct LinkAllowances: Sendable {
  var index: UInt32
  var present: Set<NetworkAllowance>
}

/// What single slices may reach beyond the node's policy.
extension Classifier {
  /// Lets the slice of a link reach these, and no others that it was let reach before, at once. On
  /// failure it is as it was.
  ///
  /// - Parameter index: of the host's end; it need not be admitted yet.
  public func allow(
    _ wanted: Set<NetworkAllowance>, to link: String, index: UInt32
  ) throws(SliceError) {
    try allowances.withLock { (all) throws(SliceError) in
      let before = all[link]?.present ?? []
      var present = before
      func change(to wanted: Set<NetworkAllowance>) throws(SliceError) {
        for allowance in wanted.subtracting(present) {
          try set(allowance, true, of: link, index)
          present.insert(allowance)
        }
        for allowance in present.subtracting(wanted) {
          try set(allowance, false, of: link, index)
          present.remove(allowance)
        }
      }
      // What could be neither changed nor changed back is still known, and goes with the link.
      defer {
        all[link] = present.isEmpty ? nil : LinkAllowances(index: index, present: present)
      }
      do throws(SliceError) {
        try change(to: wanted)
      } catch {
        try change(to: before)
        throw error
      }
    }
  }

  /// The same for a link that is admitted.
  public func allow(_ wanted: Set<NetworkAllowance>, to link: String) throws(SliceError) {
    guard let index = links.withLock({ $0[link] }) else { return }
    try allow(wanted, to: link, index: index)
  }

  /// Takes back all that a link was let reach, before it goes.
  func withdrawAllowances(_ link: String) throws(SliceError) {
    guard let index = allowances.withLock({ $0[link]?.index }) else { return }
    try allow([], to: link, index: index)
  }

  private func set(
    _ allowance: NetworkAllowance, _ isAllowed: Bool, of link: String, _ index: UInt32
  ) throws(SliceError) {
    try classifying("net.allow=\(allowance) of \(link)") { error in
      switch allowance {
      case .network(let network):
        ccl_allow_network(
          handle.pointer, index, network.bytes, UInt32(network.mappedLength), isAllowed, error)
      case .port(let port):
        ccl_allow_service(
          handle.pointer, index, port.port, port.transport.number, isAllowed, error)
      }
    }
  }
}
