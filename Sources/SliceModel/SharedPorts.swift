/// Which ports of the node's address slices may have (net.mode=shared), and who has them.
public struct SharedPorts: Sendable, Hashable {
  /// Slices may have them without any right: those of node.toml's `shared-ports`.
  public var range: ClosedRange<UInt16>

  public init(range: ClosedRange<UInt16> = 20_000...29_999) { self.range = range }

  /// How many ports a slice gets that asks for none.
  public static let block: UInt16 = 64

  /// Nil for a range that holds ports below 1024, or leaves too few for others.
  public init?(_ text: String) {
    guard let ports = PortRanges(text), ports.ranges.count == 1,
      ports.hull.lowerBound >= Self.others.lowerBound
    else { return nil }
    range = ports.hull
    guard translated.count >= 8192 else { return nil }
  }

  private static let others: ClosedRange<UInt16> = 1024...UInt16.max

  /// Ports for connections that are translated to the node's address, of slices with addresses of
  /// their own: the longer part above 1023 that is left of the range.
  public var translated: Range<UInt16> {
    let below = Self.others.lowerBound..<range.lowerBound
    // The last of all is left out, so that a half-open range will do.
    let above = min(range.upperBound, .max - 1) + 1..<UInt16.max
    return above.count >= below.count ? above : below
  }

  /// How many ports an owner's slice may have, so that none takes all.
  public static let most = 1024

  /// Refuses ports that no slice may have, or this owner may not.
  ///
  /// - Parameter bounds: nil for who is not bound.
  public func admit(_ ports: PortRanges, within bounds: OwnerBounds?) throws(SliceError) {
    if let port = ports.firstCommon(with: PortRanges(ClosedRange(translated))) {
      throw SliceError(
        .refused,
        "net.ports=\(ports): port \(port) is among \(text(ClosedRange(translated))), which connections of others get by chance",
        hint: "\(text(range)) are for slices")
    }
    guard let bounds else { return }
    guard ports.count <= Self.most else {
      throw SliceError(
        .refused, "net.ports=\(ports): \(ports.count) ports are too many",
        hint: "at most \(Self.most)")
    }
    let port = ports.ranges.lazy.joined().first { !range.contains($0) && !bounds.allowsSharing($0) }
    guard let port else { return }
    throw SliceError(
      .refused, "net.ports=\(ports): you have no right to port \(port)",
      hint: "\(text(range)) are for all slices; the node's administrator can give you others")
  }

  /// The ports of a slice that asks for none: the first block of the range that nobody has and
  /// `isFree` says to be unused.
  public func freeBlock(
    beside taken: [PortRanges], isFree: (ClosedRange<UInt16>) -> Bool
  ) throws(SliceError) -> PortRanges {
    var first = range.lowerBound
    while range.upperBound - first >= Self.block - 1 {
      let block = first...first + (Self.block - 1)
      let wanted = PortRanges(block)
      if !taken.contains(where: { $0.firstCommon(with: wanted) != nil }), isFree(block) {
        return wanted
      }
      guard range.upperBound - first >= Self.block else { break }
      first += Self.block
    }
    throw SliceError(
      .failed, "no \(Self.block) ports in a row are free of \(text(range))",
      hint:
        "name fewer by net.ports, destroy a slice, or enlarge shared-ports in /etc/slices/node.toml"
    )
  }

  private func text(_ range: ClosedRange<UInt16>) -> String {
    "\(range.lowerBound)-\(range.upperBound)"
  }
}
