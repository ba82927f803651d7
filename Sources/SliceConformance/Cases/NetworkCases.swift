/// The network as processes of a slice see it: which sockets they get, and that its tables aren't theirs.
enum NetworkCases {
  static let all: [ConformanceCase] = [
    .probe(
      "network.raw4", "no raw IPv4 socket without a grant", "raw(7)",
      depth: [.capabilities, .hostOwnership]),
    .probe(
      "network.raw6", "no raw IPv6 socket without a grant", "raw(7)",
      depth: [.capabilities, .hostOwnership]),
    .probe(
      "network.packet", "no packet socket without a grant", "packet(7)",
      depth: [.argumentFilter, .capabilities]),
    .probe(
      "network.ring", "no packet ring, whose pages no limit of memory counts, without a grant",
      "packet(7), PACKET_RX_RING", depth: [.argumentFilter, .capabilities]),
    .probe(
      "network.alg", "no AF_ALG socket", "crypto user interface of the kernel",
      needs: [.argumentFilter]),
    .probe("network.vsock", "no AF_VSOCK socket", "vsock(7)", needs: [.argumentFilter]),
    .probe("network.key", "no AF_KEY socket", "RFC 2367", depth: [.argumentFilter, .capabilities]),
    .probe("network.xdp", "no AF_XDP socket", "AF_XDP", depth: [.argumentFilter, .capabilities]),
    .probe(
      "network.bluetooth", "no Bluetooth socket", "address_families(7)", needs: [.argumentFilter]),
    .probe("network.address", "no address is added", "rtnetlink(7)", depth: owned),
    .probe("network.route", "no route is added", "rtnetlink(7)", depth: owned),
    .probe("network.link", "no link is changed", "rtnetlink(7)", depth: owned),
    .probe("network.filters", "no packet filter is changed", "nft(8)", depth: owned),
    .probe(
      "network.sysctl", "no setting of the network is changed", "ip-sysctl of the kernel",
      depth: [.readOnlyKernelFiles, .userNamespace]),
    .probe("network.mark", "no packet is marked", "socket(7), SO_MARK", depth: owned),
    .probe(
      "network.transparent", "no foreign address is bound", "ip(7), IP_TRANSPARENT", depth: owned),
  ]

  private static let owned: [Defence] = [.capabilities, .hostOwnership]
}
