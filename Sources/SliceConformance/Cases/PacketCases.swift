/// Packets of a slice, forged and foreign, as the host's end of its link sees them.
///
/// A slice without grants has no socket for any of this (network.*). So that the second lock is asked alone, the
/// sockets are the suite's own, as root of the host, in the slice's network namespace: CShims/probe/packets.c.
enum PacketCases {
  static let all: [ConformanceCase] =
    [
      ("source-ipv4", "a foreign IPv4 source", "RFC 2827, CVE-2020-10749"),
      ("source-neighbour", "another slice's IPv4 source", "RFC 2827"),
      ("source-ipv6", "a foreign IPv6 source", "RFC 2827"),
      ("source-mac", "a foreign MAC address", "CVE-2021-32575"),
      ("broadcast", "the broadcast MAC address as destination", "IEEE 802.3"),
      ("loopback", "an address of the host's loopback as destination", "CVE-2020-8558"),
      ("arp", "an ARP reply for another's address", "CVE-2021-32575, RFC 826"),
      ("router-advertisement", "an IPv6 router advertisement", "CVE-2020-10749, RFC 6104"),
      ("neighbour-advertisement", "an IPv6 neighbour advertisement", "RFC 3756"),
      ("redirect", "an ICMP redirect", "RFC 792, CVE-1999-0265"),
      ("foreign-error", "an ICMP error about others' connections", "RFC 5927"),
      ("vlan", "a VLAN tag", "IEEE 802.1Q, CVE-2021-3772"),
      ("vlan-double", "two VLAN tags", "IEEE 802.1ad"),
      ("ethertype", "an ethertype that was not granted", "packet(7)"),
      ("spanning-tree", "a frame of the spanning tree protocol", "IEEE 802.1D"),
      ("protocol-ipv4", "an IPv4 protocol that was not granted", "raw(7)"),
      ("protocol-ipv6", "an IPv6 protocol that was not granted", "raw(7)"),
      ("fragment-tcp", "a fragment of TCP", "RFC 1858"),
      ("fragment-overlap", "a fragment that overlaps a header", "RFC 3128, CVE-2002-0510"),
      ("fragment-tiny", "a first fragment without its whole header", "RFC 1858"),
      ("source-route", "an IPv4 source route", "RFC 7126"),
      ("routing-header", "an IPv6 routing header", "RFC 5095"),
      ("version", "a header of no IP version", "RFC 791"),
    ].map { name, what, reference in
      .script(
        "packet.\(name)", "the host's end of a link drops what is forged: \(what)",
        reference,
        needs: [.classifier]
      ) { try $0.packets.verdict("packet.\(name)") }
    } + [
      .script(
        "packet.own", "an honest packet passes, so it isn't everything that is dropped",
        "Docs/security.md", depth: [.classifier]
      ) { try $0.packets.honest() },
      .script(
        "packet.sniff", "a slice's network shows nothing of others' traffic or the host's",
        "packet(7)", needs: [.networkNamespace], sniff),
    ]

  /// The host sends to another slice and to itself; a socket for all that there is to see in the attacked one's
  /// namespace sees none of it, one in the other's does.
  private static func sniff(_ bed: TestBed) throws -> Verdict {
    let others = try bed.addresses(of: bed.neighbour.get())
    func look(_ slice: String) throws -> ProbeAnswer? {
      let result = try bed.probe(
        [
          "sniff", "\(try bed.initProcess(of: slice))", others.ipv4, others.ipv6, "127.0.0.1",
          "::1",
        ])
      guard result.status == 0 else { throw bed.failure(ofPackets: result) }
      return ProbeAnswer.all(in: result.output).values.first
    }
    guard let answer = try look(bed.idle.get()) else { return .error("no answer") }
    guard answer.outcome == .held else { return .fail(answer.text) }
    let control = try look(bed.neighbour.get())
    return control?.outcome == .broken
      ? .pass : .error("the control: \(control?.text ?? "no answer") in the other's namespace")
  }
}

/// All forgeries of a run, sent at once: from a slice, and where nothing stands between.
struct ForgedPackets {
  private let answers: [String: ProbeAnswer]
  private let control: [String: ProbeAnswer]
  private let controlFailure: String

  init(_ bed: TestBed) throws {
    let slice = try bed.idle.get()
    let (own, other) = (try bed.addresses(of: slice), try bed.addresses(of: bed.neighbour.get()))
    let result = try bed.probe([
      "forge", "\(try bed.initProcess(of: slice))", own.link, own.ipv4, own.ipv6, other.ipv4,
      other.ipv6,
    ])
    guard result.status == 0 else { throw bed.failure(ofPackets: result) }
    answers = ProbeAnswer.all(in: result.output)
    let bare = try bed.probe(["forge", "bare"])
    control = ProbeAnswer.all(in: bare.output)
    controlFailure = bare.complaint
  }

  func verdict(_ name: String) throws -> Verdict {
    guard let answer = answers["\(name)="] else { return .error("no answer of \(name)") }
    switch answer.outcome {
    case .broken: return .fail(answer.text)
    case .error: return .error(answer.text)
    case .held, .inapplicable: break
    }
    guard let control = control["\(name)="] else {
      return .skip("the control could not be run: \(controlFailure)")
    }
    return control.outcome == .broken
      ? .pass : .error("the control: without a classifier it doesn't pass either: \(control.text)")
  }

  /// The other way round.
  func honest() throws -> Verdict {
    guard let answer = answers["packet.own="] else { return .error("no answer of packet.own") }
    return answer.outcome == .broken ? .pass : .fail(answer.text)
  }
}

extension TestBed {
  /// A slice's own addresses, and the host's end of its link.
  func addresses(of slice: String) throws -> (link: String, ipv4: String, ipv6: String) {
    let network = try json(["inspect", slice])["network"]
    guard let link = network["link"].string, let ipv4 = network["ipv4"].string else {
      throw Unenforceable(reason: "slices of this node have no link of their own")
    }
    // Unspecified: then nothing passes that is IPv6.
    return (link, ipv4, network["ipv6"].string ?? "::")
  }
}
