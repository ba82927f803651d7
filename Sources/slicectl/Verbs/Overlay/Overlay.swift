import ArgumentParser

struct Overlay: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overlay",
    abstract: "Look after networks that slices have of their own, on one node or many.",
    discussion: """
      A slice that joins gets a second interface, named as the overlay, with an address of its subnet. \
      Members reach each other there, and nobody else does.

        slicectl overlay create mesh --subnet 10.64.0.0/16 --part 10.64.1.0/24
        slicectl overlay join mesh web
        slicectl overlay peer add mesh 192.0.2.7 --part 10.64.2.0/24
      """,
    subcommands: [
      OverlayCreate.self, OverlayJoin.self, OverlayLeave.self, OverlayPeerVerbs.self,
      OverlayList.self, OverlayInspect.self, OverlayDelete.self,
    ])
}
