import SliceInterface
import SliceModel

/// What one slice sent to one place in some seconds.
struct FlowReport: Report {
  let flow: Flow

  static let protocols: [(name: String, number: UInt8)] = [
    ("tcp", 6), ("udp", 17), ("icmp", 1), ("icmp6", 58),
  ]

  /// Columns of fixed width, because rows come one by one.
  static let title = line([
    "FIRST", "LAST", "SLICE", "OWNER", "PROTO", "SOURCE", "TO", "PORT", "PACKETS", "BYTES",
  ])
  private static let widths = [20, 8, 12, 8, 5, 6, 15, 5, 8, 8]

  private static func line(_ texts: [String]) -> String {
    zip(texts, widths).map { text, width in
      text + String(repeating: " ", count: max(0, width - text.count))
    }.joined(separator: " ").trimmingTrailingBlanks
  }

  func text(_ screen: Screen) -> [String] {
    // To the second; of the last packet the time of day.
    let first = String(flow.first.prefix(19)) + "Z"
    let last = String(flow.last.dropFirst(11).prefix(8))
    let kind = flow.protocol.map { number in
      Self.protocols.first { $0.number == number }?.name ?? "\(number)"
    }
    return [
      Self.line(
        [
          first, last, flow.slice, flow.owner, kind ?? "-",
          flow.sourcePort.map { "\($0)" } ?? "-", flow.to ?? "-", flow.port.map { "\($0)" } ?? "-",
          "\(flow.packets)", Readable.bytes(flow.bytes),
        ].map(\.escapedForTerminal))
    ]
  }

  var quiet: [String] { [flow.slice.escapedForTerminal] }

  var json: JSONValue {
    .object([
      "first": .string(flow.first), "last": .string(flow.last), "slice": .string(flow.slice),
      "number": JSONValue(flow.number), "owner": .string(flow.owner),
      "ownerId": JSONValue(flow.ownerId), "to": JSONValue(flow.to), "port": JSONValue(flow.port),
      "sourcePort": JSONValue(flow.sourcePort), "protocol": JSONValue(flow.protocol),
      "packets": JSONValue(flow.packets), "bytes": JSONValue(flow.bytes),
    ])
  }
}

extension String {
  fileprivate var trimmingTrailingBlanks: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
