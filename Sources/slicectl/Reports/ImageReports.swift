import SliceClient
import SliceInterface
import SliceModel

extension ImageSummary {
  var json: JSONValue {
    .object([
      "name": .string(name), "digest": JSONValue(digest), "kind": .string(kind.rawValue),
      "sizeBytes": JSONValue(sizeBytes), "entries": JSONValue(entries),
      "importedAt": JSONValue(importedAt), "owner": JSONValue(owner),
      "command": command.map { .array($0.map(JSONValue.string)) } ?? .null,
      "usedBy": .array(usedBy.map(JSONValue.string)),
    ])
  }
}

/// An image that has just come.
struct ImportReport: Report {
  let image: ImageSummary

  func text(_ screen: Screen) -> [String] {
    let size = image.sizeBytes.map { Readable.bytes(Int64(clamping: $0)) } ?? "unknown size"
    let name = image.name.escapedForTerminal
    return [
      "\(name): \(size), \(image.entries ?? 0) entries, \(image.digest?.escapedForTerminal ?? "-")",
      "to use it: slicectl create NAME --image \(name)",
    ]
  }

  var json: JSONValue { image.json }
}

/// Many images, one a line.
struct ImageListReport: Report {
  let images: [ImageSummary]

  func text(_ screen: Screen) -> [String] {
    let table = Table(
      columns: [
        .init("NAME", isFree: true), .init("KIND"), .init("SIZE", .right),
        .init("ENTRIES", .right), .init("AGE", .right), .init("OWNER", isFree: true),
        .init("DIGEST"), .init("USED BY", isFree: true),
      ], rows: images.map { row($0, screen) })
    return table.lines(width: screen.width)
  }

  private func row(_ image: ImageSummary, _ screen: Screen) -> [String] {
    let size = image.sizeBytes.map { Readable.bytes(Int64(clamping: $0)) }
    let entries = image.entries.map { "\($0)" }
    // As many digits as tell images apart.
    let digest = image.digest.map { String($0.prefix(19)) }
    let users = image.usedBy.isEmpty ? "-" : image.usedBy.joined(separator: ",")
    let cells: [String] = [
      image.name, image.kind.rawValue, size ?? "-", entries ?? "-", screen.age(image.importedAt),
      image.owner ?? "-", digest ?? "-", users,
    ]
    return cells.map(\.escapedForTerminal)
  }

  var quiet: [String] { images.map(\.name.escapedForTerminal) }
  var json: JSONValue { .array(images.map(\.json)) }
}
