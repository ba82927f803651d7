import ArgumentParser
import SliceClient
import SliceInterface
import SliceModel

struct OverlayCreate: Verb {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make an overlay on this node.",
    discussion: """
      On every node of an overlay give the same name, subnet and options, and another part. With \
      --encrypt a key is made; 'slicectl overlay inspect' shows its public half, for the peers.

        slicectl overlay create mesh --subnet 10.64.0.0/16 --part 10.64.1.0/24
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "Its name, 13 characters at most: slices see an interface of this name.")
  var name: String

  @Option(help: ArgumentHelp("All its addresses, such as 10.64.0.0/16.", valueName: "network"))
  var subnet: String

  @Option(
    help: ArgumentHelp(
      "What of them this node gives to its slices. (default: all)", valueName: "network"))
  var part: String?

  @Flag(help: "Carry it between nodes by WireGuard.")
  var encrypt = false

  @Option(
    help: ArgumentHelp(
      "VXLAN's network identifier. (default: follows from name and subnet)", valueName: "number"))
  var id: UInt32?

  @Option(
    help: ArgumentHelp(
      "The nodes' UDP port, with --encrypt; for administrators. (default: 51820)",
      valueName: "port"))
  var port: UInt16?

  @Option(
    help: ArgumentHelp(
      "The largest packet. (default: 1430, with --encrypt 1420)", valueName: "bytes"))
  var mtu: UInt32?

  var operation: String { "overlay create \(name.escapedForTerminal)" }

  func perform() throws {
    let overlay = try supervisor.createOverlay(
      OverlayCreateCall.Parameters(
        name: OverlayName(name).text, subnet: subnet, part: part, encrypt: encrypt, id: id,
        port: port, mtu: mtu))
    output.print(OverlayReport(overlay: overlay, isNew: true))
  }
}
