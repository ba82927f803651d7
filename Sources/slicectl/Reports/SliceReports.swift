import SliceClient
import SliceInterface
import SliceModel

extension SliceSummary {
  /// With the keys of slicectl(1), none of them missing.
  var json: JSONValue {
    .object([
      "name": .string(name), "owner": .string(owner), "state": .string(state.rawValue),
      "image": .string(image), "pid": JSONValue(pid), "ipv4": JSONValue(ipv4),
      "ipv6": JSONValue(ipv6), "createdAt": .string(createdAt), "startedAt": JSONValue(startedAt),
      "restarts": JSONValue(restarts), "lease": JSONValue(lease),
      "publish": .array(publish.map(JSONValue.string)),
      "unenforced": .array(unenforced.map(JSONValue.string)), "reason": JSONValue(reason),
    ])
  }

  /// `running at 172.31.128.2 and fd73:6c69:6365::2`
  var stateAndPlace: String {
    let addresses = [ipv4, ipv6].compactMap(\.self).map(\.escapedForTerminal)
    guard !addresses.isEmpty else { return state.rawValue }
    let ports =
      publish.isEmpty ? "" : ", ports \(publish.joined(separator: ", ").escapedForTerminal)"
    return "\(state.rawValue) at \(addresses.joined(separator: " and "))\(ports)"
  }
}

extension NamedResult {
  /// `web: running at …`
  init(_ slice: SliceSummary) {
    self.init(text: "\(slice.name.escapedForTerminal): \(slice.stateAndPlace)", json: slice.json)
  }
}

/// A slice that has just been made.
struct CreationReport: Report {
  let slice: SliceSummary

  func text(_ screen: Screen) -> [String] {
    let name = slice.name.escapedForTerminal
    let next =
      slice.state == .running
      ? "a shell inside: slicectl enter \(name); what it prints: slicectl logs -f \(name)"
      : "to start it: slicectl start \(name)"
    return ["\(name): \(slice.stateAndPlace)", next]
  }

  var json: JSONValue { slice.json }
}

/// A slice that has been changed.
struct ChangeReport: Report {
  let slice: SliceSummary
  let changes: [String]
  let notes: [String]

  func text(_ screen: Screen) -> [String] {
    let name = slice.name.escapedForTerminal
    return ["\(name): \(changes.joined(separator: " ").escapedForTerminal)"]
      + notes.map { "\(name): \($0.escapedForTerminal)" }
  }

  var json: JSONValue { slice.json }
}

/// Many slices, one a line.
struct ListReport: Report {
  let slices: [SliceSummary]

  func text(_ screen: Screen) -> [String] {
    // What no slice has takes no room.
    let (ports, notes) = (
      slices.contains { !$0.publish.isEmpty }, slices.contains { !note($0).isEmpty }
    )
    let table = Table(
      columns: [
        .init("NAME"), .init("STATE"), .init("OWNER", isFree: true), .init("IMAGE", isFree: true),
        .init("IPV4"), .init("IPV6"), .init("UP", .right), .init("AGE", .right),
        .init("RESTARTS", .right), .init("LEASE", .right),
      ] + (ports ? [.init("PORTS", isFree: true)] : [])
        + (notes ? [.init("NOTE", isFree: true)] : []),
      rows: slices.map { slice in
        row(slice, screen)
          + (ports ? [slice.publish.joined(separator: ",").escapedForTerminal] : [])
          + (notes ? [note(slice).escapedForTerminal] : [])
      })
    return table.lines(width: screen.width)
  }

  private func note(_ slice: SliceSummary) -> String {
    let unenforced =
      slice.unenforced.isEmpty ? nil : "not enforced: " + slice.unenforced.joined(separator: ",")
    return [slice.reason, unenforced].compactMap(\.self).joined(separator: "; ")
  }

  private func row(_ slice: SliceSummary, _ screen: Screen) -> [String] {
    let isUp = slice.state == .running || slice.state == .paused
    return [
      slice.name, slice.state.rawValue, slice.owner, slice.image, slice.ipv4 ?? "-",
      slice.ipv6 ?? "-", isUp ? screen.age(slice.startedAt) : "-", screen.age(slice.createdAt),
      "\(slice.restarts)", screen.distance(slice.lease),
    ].map(\.escapedForTerminal)
  }

  var quiet: [String] { slices.map(\.name.escapedForTerminal) }
  var json: JSONValue { .array(slices.map(\.json)) }
}
