import CNetlink
import Descriptor
import SliceModel

/// The TUN devices of a slice: tun0, tun1 and so on.
extension NetworkNamespace {
  /// - Parameter owner: host's user id of the slice's root, which may attach to them.
  public func make(_ tunnels: [RawGrants.Tunnel], owner: UInt32) throws(SliceError) {
    for (number, tunnel) in tunnels.enumerated() {
      try make(tunnel, number: number, owner: owner)
    }
  }

  private func make(
    _ tunnel: RawGrants.Tunnel, number: Int, owner: UInt32
  ) throws(SliceError) {
    var entry = cnl_tun()
    fill(&entry.name, with: Self.name(number))
    entry.owner = owner
    entry.queues = tunnel.hasQueues
    if let address = tunnel.address {
      entry.family = address.count == 4 ? 2 /* AF_INET */ : 10 /* AF_INET6 */
      entry.prefix = UInt8(tunnel.prefix)
      fill(&entry.address, with: address)
    }
    var handle = handle
    try network("\(Self.name(number)) of raw.allow") { cnl_tun_create(&handle, &entry, $0) }
  }

  /// Changes the devices of a slice that runs. One that is no more, or is another one, ends for who is
  /// attached to it.
  public func change(
    _ old: [RawGrants.Tunnel], to new: [RawGrants.Tunnel], owner: UInt32
  ) throws(SliceError) {
    func present(_ list: [RawGrants.Tunnel], _ number: Int) -> RawGrants.Tunnel? {
      number < list.count ? list[number] : nil
    }
    for number in 0..<max(old.count, new.count)
    where present(old, number) != present(new, number) {
      var handle = handle
      try network("\(Self.name(number)) of raw.allow") {
        cnl_tun_delete(&handle, Self.name(number), $0)
      }
      if let tunnel = present(new, number) { try make(tunnel, number: number, owner: owner) }
    }
  }

  private static func name(_ number: Int) -> String { "tun\(number)" }
}
