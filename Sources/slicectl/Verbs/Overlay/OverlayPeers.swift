import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct OverlayPeerVerbs: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "peer", abstract: "Say which other nodes an overlay is on; for administrators.",
    subcommands: [OverlayPeerAdd.self, OverlayPeerRemove.self])
}

struct OverlayPeerAdd: Verb {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Add a node to an overlay, or change what is known of it.",
    discussion: """
      The other node needs this one as a peer too.

        slicectl overlay peer add mesh 192.0.2.7 --part 10.64.2.0/24
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  @Argument(help: "IPv4 or IPv6 address of the node.")
  var host: String

  @Option(
    help: ArgumentHelp("What of the subnet it gives to its slices.", valueName: "network"))
  var part: String

  @Option(
    help: ArgumentHelp("Its public key, where the overlay is encrypted.", valueName: "key"))
  var key: String?

  @Option(
    help: ArgumentHelp(
      "Its UDP port, where the overlay is encrypted. (default: as this node's)", valueName: "port"))
  var port: UInt16?

  var operation: String { "overlay peer add \(name.escapedForTerminal) \(host.escapedForTerminal)" }

  func perform() throws {
    let overlay = try supervisor.addPeer(
      OverlaySummary.Peer(host: host, port: port, part: part, key: key), to: OverlayName(name))
    output.print(OverlayReport(overlay: overlay, isNew: false))
  }
}

struct OverlayPeerRemove: Verb {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a node out of an overlay.",
    discussion: """
        slicectl overlay peer remove mesh 192.0.2.7
      """,
    aliases: ["rm"])

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "The overlay.", completion: Completions.overlays)
  var name: String

  @Argument(help: "The node's address.")
  var host: String

  var operation: String {
    "overlay peer remove \(name.escapedForTerminal) \(host.escapedForTerminal)"
  }

  func perform() throws {
    output.print(
      OverlayReport(
        overlay: try supervisor.removePeer(host, from: OverlayName(name)), isNew: false))
  }
}
