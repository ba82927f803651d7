import CClassifier
import SliceModel

/// What single slices may send beyond TCP, UDP and ICMP.
extension Classifier {
  /// Lets the slice of a link send what its raw sockets were granted, and nothing else of that kind, at
  /// once. Goes with the link.
  ///
  /// - Parameter index: of the host's end; it need not be admitted yet.
  public func grant(_ grants: RawGrants?, to link: String, index: UInt32) throws(SliceError) {
    guard let grants else {
      return try classifying("raw.allow of \(link)") { ccl_set_raw(handle.pointer, index, nil, $0) }
    }
    var entry = ccl_raw()
    entry.asks_for_address = grants.asksForAddress
    setBits(&entry.ipv4, grants.ipv4)
    setBits(&entry.ipv6, grants.ipv6)
    withUnsafeMutableBytes(of: &entry.ethertypes) { bytes in
      let list = bytes.bindMemory(to: UInt16.self)
      for (place, number) in zip(list.indices, grants.ethertypes.sorted()) { list[place] = number }
    }
    try classifying("raw.allow of \(link)") { ccl_set_raw(handle.pointer, index, &entry, $0) }
  }

  /// The same for a link that is admitted.
  public func grant(_ grants: RawGrants?, to link: String) throws(SliceError) {
    guard let index = links.withLock({ $0[link] }) else { return }
    try grant(grants, to: link, index: index)
  }
}

/// Sets the bit of each number: number n is bit n % 64 of word n / 64.
func setBits(_ words: inout (UInt64, UInt64, UInt64, UInt64), _ numbers: Set<UInt8>) {
  withUnsafeMutableBytes(of: &words) { bytes in
    let words = bytes.bindMemory(to: UInt64.self)
    for number in numbers { words[Int(number) / 64] |= 1 << UInt64(number % 64) }
  }
}
