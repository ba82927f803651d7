import CClassifier
import SliceModel

/// What single slices may send beyond TCP, UDP and ICMP.
extension Classifier {
  /// Lets the slice of a link send what its raw sockets were granted, and nothing else of that kind, at
  /// once. Goes with the link.
  ///
  /// - Parameters:
  ///   - isJudged: whether the slice's own end marks what it lets pass (`RawJudge`); what has no mark is then
  ///     from AF_XDP and the like, and held to the grants.
  ///   - index: of the host's end; it need not be admitted yet.
  public func grant(
    _ grants: RawGrants?, isJudged: Bool, to link: String, index: UInt32
  ) throws(SliceError) {
    guard let grants else {
      return try classifying("raw.allow of \(link)") { ccl_set_raw(handle.pointer, index, nil, $0) }
    }
    var entry = ccl_raw()
    entry.asks_for_address = grants.asksForAddress
    entry.marks = isJudged
    entry.bypasses = grants.hasXDP
    set(&entry.udp, to: grants.udp)
    set(&entry.tcp, to: grants.tcp)
    setBits(&entry.ipv4, grants.ipv4)
    setBits(&entry.ipv6, grants.ipv6)
    withUnsafeMutableBytes(of: &entry.ethertypes) { bytes in
      let list = bytes.bindMemory(to: UInt16.self)
      for (place, number) in zip(list.indices, grants.ethertypes.sorted()) { list[place] = number }
    }
    try classifying("raw.allow of \(link)") { ccl_set_raw(handle.pointer, index, &entry, $0) }
  }

  /// The same for a link that is admitted.
  public func grant(_ grants: RawGrants?, isJudged: Bool, to link: String) throws(SliceError) {
    guard let index = links.withLock({ $0[link] }) else { return }
    try grant(grants, isJudged: isJudged, to: link, index: index)
  }

  /// Parsed ones fit (`RawGrants.most`).
  private func set(_ ports: inout ccl_raw_ports, to ranges: [ClosedRange<UInt16>]) {
    ports.count = UInt16(ranges.count)
    withUnsafeMutableBytes(of: &ports.ranges) { bytes in
      let list = bytes.bindMemory(to: UInt16.self)
      for (place, range) in ranges.enumerated() {
        (list[2 * place], list[2 * place + 1]) = (range.lowerBound, range.upperBound)
      }
    }
  }
}

/// Sets the bit of each number: number n is bit n % 64 of word n / 64.
func setBits(_ words: inout (UInt64, UInt64, UInt64, UInt64), _ numbers: Set<UInt8>) {
  withUnsafeMutableBytes(of: &words) { bytes in
    let words = bytes.bindMemory(to: UInt64.self)
    for number in numbers { words[Int(number) / 64] |= 1 << UInt64(number % 64) }
  }
}
