import ArgumentParser
import SliceClient
import SliceModel

struct Metrics: Verb {
  static let configuration = CommandConfiguration(
    commandName: "metrics",
    abstract: "Print what slices may use and do use, for Prometheus.",
    discussion: """
      The text format that Prometheus and node_exporter's textfile collector read; with --format \
      openmetrics, OpenMetrics to the letter. See slicectl(1) for how to collect it.

        slicectl metrics | promtool check metrics
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Option(
    help: ArgumentHelp(
      "\(MetricsText.Format.allCases.map(\.rawValue).joined(separator: " or ")).",
      valueName: "format"))
  var format = MetricsText.Format.prometheus

  var operation: String { "metrics" }

  func perform() throws {
    let sample = try supervisor.shares()
    switch output.format {
    case .text, .quiet: StandardOutput.write(MetricsText(sample, format: format).text)
    case .json: output.printWhole(.object(["slices": .array(sample.slices), "node": sample.node]))
    }
  }
}

extension MetricsText.Format: ExpressibleByArgument {}
