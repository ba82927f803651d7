/// A port of the host at which a port of a slice is reached: one of `net.publish`.
public struct PublishedPort: Sendable, Hashable {
  /// The host's, which only one slice can have.
  public var host: TransportPort
  /// The slice's own.
  public var port: UInt16
  public var transport: Transport { host.transport }

  public init(host: TransportPort, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Of one slice, in its list, and with what ranges come to.
  public static let mostEntries = 64
  public static let mostPorts = 1024

  /// Reads a list of `HOSTPORT:PORT/tcp` and `/udp`; without a protocol it is TCP. Both ports may be
  /// ranges of the same length.
  ///
  /// - Throws: `usage`, with the entry that is wrong and why.
  public static func parse(_ entries: [String]) throws(SliceError) -> [PublishedPort] {
    guard entries.count <= mostEntries else {
      throw SliceError(
        .usage, "net.publish: \(entries.count) entries are too many",
        hint: "at most \(mostEntries); a range such as 8000-8010:8000-8010/tcp is one")
    }
    var ports: [PublishedPort] = []
    var seen: Set<TransportPort> = []
    for entry in entries {
      let parsed = try PublishedEntry(entry).ports
      for port in parsed where !seen.insert(port.host).inserted {
        throw refusal(
          entry, "port \(port.host) of the host is published twice",
          hint: "a port of the host leads to one port")
      }
      ports += parsed
      guard ports.count <= mostPorts else {
        throw SliceError(
          .usage, "net.publish: more than \(mostPorts) ports", hint: "publish fewer")
      }
    }
    return ports
  }

  fileprivate static func refusal(_ entry: String, _ reason: String, hint: String) -> SliceError {
    SliceError(
      .usage, "net.publish=\(entry.prefix(64).description.escapedForTerminal): \(reason)",
      hint: hint)
  }
}

extension PublishedPort: CustomStringConvertible {
  /// `8080:80/tcp`
  public var description: String { "\(host.port):\(port)/\(transport.rawValue)" }
}

/// One entry of the list.
private struct PublishedEntry {
  let ports: [PublishedPort]

  init(_ text: String) throws(SliceError) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard let transport = parts.count == 1 ? .tcp : Transport(rawValue: String(parts[1])),
      parts.count <= 2
    else {
      throw PublishedPort.refusal(
        text, "the protocol is neither tcp nor udp",
        hint: "write HOSTPORT:PORT/tcp or HOSTPORT:PORT/udp, as in 5353:53/udp")
    }
    let sides = parts[0].split(separator: ":", omittingEmptySubsequences: false)
    guard sides.count == 2 else {
      throw PublishedPort.refusal(
        text, sides.count < 2 ? "one of the two ports is missing" : "there are more than two ports",
        hint:
          "write HOSTPORT:PORT, the host's port first, as in 8080:80/tcp; addresses can't be chosen"
      )
    }
    let host = try Self.range(sides[0], of: text)
    let own = try Self.range(sides[1], of: text)
    guard host.count == own.count else {
      throw PublishedPort.refusal(
        text, "\(sides[0]) and \(sides[1]) are not equally many ports",
        hint: "as in 8000-8010:9000-9010/tcp")
    }
    ports = zip(host, own).map {
      PublishedPort(host: TransportPort(port: $0, transport: transport), port: $1)
    }
  }

  private static func range(
    _ side: Substring, of text: String
  ) throws(SliceError) -> ClosedRange<UInt16> {
    let ends = side.split(separator: "-", omittingEmptySubsequences: false)
    let numbers = ends.map { end in
      decimal(end).flatMap(UInt16.init(exactly:)).flatMap { $0 > 0 ? $0 : nil }
    }
    guard (1...2).contains(numbers.count), let first = numbers[0], let last = numbers.last ?? nil
    else {
      throw PublishedPort.refusal(
        text, "'\(side.prefix(32))' is not a port".escapedForTerminal,
        hint: "a port is a number from 1 to 65535, a range two of them: 8000-8010")
    }
    guard first <= last else {
      throw PublishedPort.refusal(
        text, "\(side) ends before it begins", hint: "write \(last)-\(first)")
    }
    return first...last
  }
}

extension Settings {
  /// The entries of `net.publish` as they were written, each with its protocol.
  public var publishEntries: [String] {
    guard case .list(let entries) = self[.netPublish] else { return [] }
    return entries.map { $0.contains("/") ? $0 : $0 + "/tcp" }
  }

  /// The ports of `net.publish`, in the order of the list, ranges taken apart.
  public var publishedPorts: [PublishedPort] {
    guard case .list(let entries) = self[.netPublish] else { return [] }
    // It was parsed when it was set.
    return (try? PublishedPort.parse(entries)) ?? []
  }
}

/// Ports that an owner may publish at the host: `443`, `53/udp`, `8000-8999/tcp`.
public struct PortRange: Sendable, Hashable {
  public var ports: ClosedRange<UInt16>
  /// Nil: of both.
  public var transport: Transport?

  public init(ports: ClosedRange<UInt16>, transport: Transport? = nil) {
    self.ports = ports
    self.transport = transport
  }

  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count) else { return nil }
    transport = nil
    if parts.count == 2 {
      guard let named = Transport(rawValue: String(parts[1])) else { return nil }
      transport = named
    }
    let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
    let numbers = ends.compactMap { decimal($0).flatMap(UInt16.init(exactly:)) }
    guard numbers.count == ends.count, (1...2).contains(numbers.count), let first = numbers.first,
      let last = numbers.last, first > 0, first <= last
    else { return nil }
    ports = first...last
  }

  /// What no privilege guards on the host.
  public static let unprivileged = PortRange(ports: 1024...65535)

  public func contains(_ port: TransportPort) -> Bool {
    ports.contains(port.port) && (transport == nil || transport == port.transport)
  }
}

extension PortRange: CustomStringConvertible {
  public var description: String {
    let numbers =
      ports.count == 1 ? "\(ports.lowerBound)" : "\(ports.lowerBound)-\(ports.upperBound)"
    return transport.map { "\(numbers)/\($0.rawValue)" } ?? numbers
  }
}

extension OwnerBounds {
  /// Whether a slice may have this port of the node's address, which is its own for both protocols and
  /// is not held: only where a rule says so, what everybody may publish is not enough.
  func allowsSharing(_ port: UInt16) -> Bool {
    ports != [.unprivileged]
      && Transport.allCases.allSatisfy { transport in
        ports.contains { $0.contains(TransportPort(port: port, transport: transport)) }
      }
  }

  /// Refuses to publish what the owner may not; what a slice has already it keeps.
  func admit(ports wanted: Settings, beyond current: Settings?) throws(SliceError) {
    guard wanted[.netPublish] != nil else { return }
    let present = Set(current?.publishedPorts.map(\.host) ?? [])
    for port in wanted.publishedPorts
    where !present.contains(port.host) && !ports.contains(where: { $0.contains(port.host) }) {
      throw SliceError(
        .refused,
        "net.publish=\(port): port \(port.host) of the host is not one that you may publish",
        hint: ports.isEmpty
          ? "you may publish none: ask the node's administrator"
          : "you may publish: " + ports.map(\.description).joined(separator: ", "))
    }
  }
}
