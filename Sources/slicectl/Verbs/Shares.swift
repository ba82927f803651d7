import ArgumentParser
import SliceClient
import SliceModel

struct Shares: Verb {
  static let configuration = CommandConfiguration(
    commandName: "shares",
    abstract: "Show what slices may use and what they do use.",
    discussion: """
      CPU SHARE is what a slice's weight guarantees among those that run now; CORES is what it uses \
      now, MAX behind a column its ceiling. A dash stands for no limit, or for what this host doesn't \
      count. PRESSURE is the part of the last ten seconds, in percent, that some of its work waited \
      for processor, memory and disk. TOTAL is all slices of the node together, and the node's \
      ceilings. On a terminal as many columns are shown as fit.

        slicectl shares
        slicectl shares --sort memory
        slicectl shares web --json
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "One slice; without it, all that are yours.", completion: Completions.slices)
  var name: String?

  @OptionGroup var table: TableOptions

  var operation: String { name.map { "shares \($0.escapedForTerminal)" } ?? "shares" }

  func perform() throws {
    let name = try name.map(SliceName.init)
    let sample = try supervisor.shares(name, tree: table.tree)
    output.print(
      SharesReport(
        .totals, sample: sample, order: table.sort ?? .name, showsTotal: name == nil))
  }
}
