import Descriptor
import SliceKernel
import SliceModel

/// What a slice's first process joins: made before there is one, and gone with the last reference unless
/// a process lives in it.
struct SliceNamespaces: Sendable {
  let user: UserNamespace
  let network: NetworkNamespace
  /// Index of the host's end of the link; nil: there is none.
  let link: UInt32?
}

/// Makes a slice's namespaces, with its link, from its number alone.
struct NamespaceMaker: Sendable {
  let policy: NodePolicy
  let hasIPv6: Bool
  /// Not shared with whoever must not wait: a request may have to wait for the kernel.
  let network: NetworkControl
  let classifier: Classifier?

  /// - Parameter linked: whether the slice has an address of its own. The link passes nothing before the
  ///   classifier admits it.
  func make(_ number: Int, linked: Bool) throws(SliceError) -> SliceNamespaces {
    let (procfs, user) = try reporting("make a user namespace") { () throws(SystemError) in
      let procfs = try Procfs()
      return (procfs, try UserNamespace(range: policy.idRange(number), through: procfs))
    }
    let namespace = try NetworkNamespace(ipv6: hasIPv6, through: procfs)
    let link =
      linked
      ? try network.createLink(
        policy.link(number, hasIPv6: hasIPv6), in: namespace, classifier: classifier) : nil
    return SliceNamespaces(user: user, network: namespace, link: link)
  }
}

/// What follows from a slice's number.
extension NodePolicy {
  /// How many slices this node can hold.
  var capacity: Int { min(userIDRanges, addresses4.capacity) }

  func idRange(_ number: Int) -> IDRange {
    IDRange(first: firstUserID + UInt32(number) * IDRange.length)
  }

  func link(_ number: Int, hasIPv6: Bool) -> SliceLink {
    SliceLink(
      number: number,
      addresses: SliceAddresses(
        ipv4: addresses4.address(number), ipv6: hasIPv6 ? addresses6.address(number) : nil),
      gateways: SliceAddresses(
        ipv4: addresses4.gateway, ipv6: hasIPv6 ? addresses6.gateway : nil))
  }
}
