import ArgumentParser
import SliceClient
import SliceModel

struct OverlayJoin: Verb {
  static let configuration = CommandConfiguration(
    commandName: "join", abstract: "Give a slice an address in an overlay, at once and for good.",
    discussion: """
        slicectl overlay join mesh web
        slicectl overlay join mesh db --address 10.64.1.20
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  @Argument(help: "The slice.", completion: Completions.slices)
  var slice: String

  @Option(help: ArgumentHelp("Of this node's part. (default: a free one)", valueName: "address"))
  var address: String?

  var operation: String {
    "overlay join \(name.escapedForTerminal) \(slice.escapedForTerminal)"
  }

  func perform() throws {
    let name = try OverlayName(name)
    let slice = try SliceName(slice)
    let given = try supervisor.join(name, slice, address: address)
    output.print(MembershipReport(slice: slice, overlay: name, address: given))
  }
}

struct OverlayLeave: Verb {
  static let configuration = CommandConfiguration(
    commandName: "leave", abstract: "Take a slice out of an overlay.",
    discussion: """
        slicectl overlay leave mesh web
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  @Argument(help: "The slice.", completion: Completions.slices)
  var slice: String

  var operation: String {
    "overlay leave \(name.escapedForTerminal) \(slice.escapedForTerminal)"
  }

  func perform() throws {
    let name = try OverlayName(name)
    let slice = try SliceName(slice)
    try supervisor.leave(name, slice)
    output.print(MembershipReport(slice: slice, overlay: name, address: nil))
  }
}

private struct MembershipReport: Report {
  let slice: SliceName
  let overlay: OverlayName
  /// Nil: it has left.
  let address: String?

  func text(_ screen: Screen) -> [String] {
    guard let address else { return ["\(slice): left overlay \(overlay)"] }
    return ["\(slice): \(address.escapedForTerminal) in overlay \(overlay)"]
  }

  var quiet: [String] { address.map { [$0.escapedForTerminal] } ?? [] }

  var json: JSONValue {
    .object([
      "slice": .string(slice.text), "overlay": .string(overlay.text), "address": JSONValue(address),
    ])
  }
}
