import ArgumentParser
import SliceClient

/// What `shares` and `top` take about their tables.
struct TableOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "\(ShareOrder.allCases.map(\.rawValue).joined(separator: ", ")); all but names: the largest first.",
      valueName: "key"))
  var sort: ShareOrder?

  @Flag(help: "Also the cgroups that slices have made below their own.")
  var tree = false
}

extension ShareOrder: ExpressibleByArgument {}
