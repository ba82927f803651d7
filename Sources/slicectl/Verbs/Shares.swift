import ArgumentParser
import SliceClient
import SliceModel

struct Shares: Verb {
  static let configuration = CommandConfiguration(
    abstract: "Show what slices may use and what they do use.",
    discussion: """
      CPU SHARE is what a slice's weight guarantees when all want to run; CORES is what it uses now; \
      a dash stands for no limit, or for what this host doesn't count. PRESSURE is the part of the \
      last ten seconds, in percent, that its work waited for processor, memory and storage.

        slicectl shares
        slicectl shares web --json
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "One slice; without it, all that are yours.", completion: Completions.slices)
  var name: String?

  var operation: String { name.map { "shares \($0.escapedForTerminal)" } ?? "shares" }

  func perform() throws {
    let name = try name.map(SliceName.init)
    output.print(SharesReport(slices: try supervisor.shares(name)))
  }
}
