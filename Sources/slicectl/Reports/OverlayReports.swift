import SliceClient
import SliceInterface
import SliceModel

extension OverlaySummary {
  var json: JSONValue {
    .object([
      "name": .string(name), "owner": .string(owner), "createdAt": .string(createdAt),
      "subnet": .string(subnet), "part": .string(part), "gateway": .string(gateway),
      "encrypted": .bool(encrypted), "publicKey": JSONValue(publicKey), "id": JSONValue(id),
      "port": JSONValue(port), "mtuBytes": JSONValue(mtu),
      "members": .array(
        members.map {
          .object([
            "slice": .string($0.slice), "address": .string($0.address),
            "carried": $0.carried?.json ?? .null, "dropped": Self.json($0.dropped),
          ])
        }),
      "peers": .array(
        peers.map {
          .object([
            "host": .string($0.host), "port": JSONValue($0.port), "part": .string($0.part),
            "key": JSONValue($0.key),
          ])
        }),
      "carried": carried?.json ?? .null, "dropped": Self.json(dropped),
      "problem": JSONValue(problem),
    ])
  }

  private static func json(_ drops: [String: UInt64]?) -> JSONValue {
    drops.map { .object($0.mapValues { JSONValue($0) }) } ?? .null
  }
}

extension OverlaySummary.Traffic {
  fileprivate var json: JSONValue {
    .object([
      "sentBytes": JSONValue(sentBytes), "sentPackets": JSONValue(sentPackets),
      "receivedBytes": JSONValue(receivedBytes), "receivedPackets": JSONValue(receivedPackets),
    ])
  }
}

/// One overlay, with its members and peers.
struct OverlayReport: Report {
  let overlay: OverlaySummary
  /// It has just been made, and a next step may be wanted.
  let isNew: Bool

  func text(_ screen: Screen) -> [String] {
    let lines = heading + members(screen) + peers(screen)
    return lines.map(\.escapedForTerminal) + (isNew ? nextSteps : [])
  }

  private var heading: [String] {
    var lines = [
      "\(overlay.name): \(overlay.subnet), of which \(overlay.part) is this node's, "
        + (overlay.encrypted ? "encrypted" : "VXLAN \(overlay.id)")
        + ", UDP port \(overlay.port), packets of \(overlay.mtu) bytes"
    ]
    if let key = overlay.publicKey { lines.append("public key: \(key)") }
    if let problem = overlay.problem { lines.append("problem: \(problem)") }
    return lines
  }

  private func members(_ screen: Screen) -> [String] {
    guard !overlay.members.isEmpty else { return [] }
    return Table(
      columns: [
        .init("MEMBER", isFree: true), .init("ADDRESS"), .init("SENT", .right),
        .init("RECEIVED", .right), .init("DROPPED", .right),
      ],
      rows: overlay.members.map { member in
        [member.slice, member.address] + Self.cells(member.carried, member.dropped)
      }
    ).lines(width: screen.width)
  }

  private func peers(_ screen: Screen) -> [String] {
    guard !overlay.peers.isEmpty else { return [] }
    let table = Table(
      columns: [
        .init("PEER"), .init("PART"), .init("KEY", isFree: true),
      ],
      rows: overlay.peers.map { peer in
        [peer.host + (peer.port.map { " port \($0)" } ?? ""), peer.part, peer.key ?? "-"]
      })
    let cells = Self.cells(overlay.carried, overlay.dropped)
    // The carrier's end is this node's: what it has received came from the peers.
    return table.lines(width: screen.width)
      + ["from peers \(cells[0]), to peers \(cells[1]), dropped \(cells[2])"]
  }

  private static func cells(
    _ traffic: OverlaySummary.Traffic?, _ drops: [String: UInt64]?
  ) -> [String] {
    guard let traffic else { return ["-", "-", "-"] }
    return [
      Readable.bytes(Int64(clamping: traffic.sentBytes)),
      Readable.bytes(Int64(clamping: traffic.receivedBytes)),
      "\((drops ?? [:]).values.reduce(0, +))",
    ]
  }

  private var nextSteps: [String] {
    ["to let a slice in: slicectl overlay join \(overlay.name.escapedForTerminal) SLICE"]
  }

  var quiet: [String] { [overlay.name.escapedForTerminal] }
  var json: JSONValue { overlay.json }
}

/// Many overlays, one a line.
struct OverlayListReport: Report {
  let overlays: [OverlaySummary]

  func text(_ screen: Screen) -> [String] {
    Table(
      columns: [
        .init("NAME"), .init("SUBNET"), .init("PART"), .init("CARRIER"),
        .init("OWNER", isFree: true),
        .init("PEERS", .right), .init("MEMBERS", isFree: true),
      ],
      rows: overlays.map { overlay in
        let members = overlay.members.map(\.slice).joined(separator: ",")
        return [
          overlay.name, overlay.subnet, overlay.part,
          overlay.problem != nil ? "broken" : overlay.encrypted ? "wireguard" : "vxlan",
          overlay.owner, "\(overlay.peers.count)", members.isEmpty ? "-" : members,
        ].map(\.escapedForTerminal)
      }
    ).lines(width: screen.width)
  }

  var quiet: [String] { overlays.map(\.name.escapedForTerminal) }
  var json: JSONValue { .array(overlays.map(\.json)) }
}
