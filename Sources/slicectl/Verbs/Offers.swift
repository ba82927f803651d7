import ArgumentParser
import SliceClient
import SliceModel

struct Offers: Verb {
  static let configuration = CommandConfiguration(
    commandName: "offers",
    abstract: "Show what you could still get of this node.",
    discussion: """
      NODE is what all slices together can have, PROMISED what is guaranteed already, FREE the rest of \
      it. BOUND is what your slices may have together, USED what they have, LEFT what a further one \
      could get. A dash stands for no limit, or no such figure.

        slicectl offers
        slicectl offers --json | jq .memory.minBytes.left
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  var operation: String { "offers" }

  func perform() throws {
    output.print(OffersReport(json: try supervisor.offers()))
  }
}
