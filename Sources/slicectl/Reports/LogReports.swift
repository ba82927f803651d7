import SliceInterface
import SliceModel

extension LogEntry {
  var json: JSONValue {
    .object([
      "time": .string(time), "stream": .string(stream.rawValue), "text": .string(text),
      "partial": .bool(partial),
    ])
  }
}

/// An event of the node, or of one slice.
struct EventReport: Report {
  let event: Event

  func text(_ screen: Screen) -> [String] {
    let details = event.details.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    let words =
      [event.time, event.slice ?? "-", event.kind] + (event.by.map { ["by \($0)"] } ?? [])
      + details
    return [words.map(\.escapedForTerminal).joined(separator: "  ")]
  }

  var json: JSONValue {
    .object([
      "time": .string(event.time), "slice": JSONValue(event.slice), "kind": .string(event.kind),
      "by": JSONValue(event.by), "details": .object(event.details.mapValues(JSONValue.string)),
    ])
  }
}
