import SliceClient
import SliceModel

/// What a caller could still get, one resource a line.
struct OffersReport: Report {
  let json: JSONValue

  private static let columns = ["node", "promised", "free", "bound", "used", "left"]

  func text(_ screen: Screen) -> [String] {
    let table = Table(
      columns: [.init("RESOURCE")] + Self.columns.map { .init($0.uppercased(), .right) },
      rows: rows)
    let lease = json["lease"]["longest"].string?.escapedForTerminal ?? "any"
    return table.lines(width: screen.width) + [
      "", "images: \(list(json["images"]))", "grants: \(list(json["grants"]))",
      "ports to publish: \(list(json["ports"]))",
      "longest lease: \(lease)",
    ]
  }

  private func list(_ value: JSONValue) -> String {
    let texts = value.array?.compactMap(\.string).map(\.escapedForTerminal) ?? []
    return texts.isEmpty ? "none" : texts.joined(separator: ", ")
  }

  /// Slices, and the keys of which the node or the caller's policy has a figure.
  private var rows: [[String]] {
    var rows = [row("slices", json["slices"]) { "\(Int64($0))" }]
    for key in Key.allCases {
      guard let unit = key.offerUnit else { continue }
      let parts = key.rawValue.split(separator: ".").map(String.init)
      let words = parts.dropFirst().enumerated().map { index, word in
        index == 0 ? word : word.prefix(1).uppercased() + word.dropFirst()
      }
      let line = json[parts[0]][words.joined() + unit.suffix]
      guard line["node"] != .null || line["bound"] != .null else { continue }
      rows.append(row(key.rawValue, line, unit.show))
    }
    return rows
  }

  private func row(_ name: String, _ line: JSONValue, _ show: (Double) -> String) -> [String] {
    [name] + Self.columns.map { line[$0].number.map(show) ?? "-" }
  }
}

extension Key {
  /// How `offers` names and shows amounts of this key; nil: it has none.
  fileprivate var offerUnit: (suffix: String, show: (Double) -> String)? {
    guard sum != nil else { return nil }
    switch form {
    case .bytes: return ("Bytes", { Readable.bytes(Int64($0)) })
    case .rate: return ("BitsPerSecond", { Readable.bitRate(Int64($0)) })
    case .cpu: return ("Cores", Readable.rounded)
    case .count: return ("", { "\(Int64($0))" })
    case .processors, .time, .word, .list, .ports, .flag: return nil
    }
  }
}
