import SliceModel

/// The figures of a node in the text format of Prometheus and OpenMetrics.
///
/// The two differ in what a counter's metadata is called: OpenMetrics names the family, `x`, the older
/// format the sample, `x_total`, and each takes the other's for an error.
/// (https://prometheus.io/docs/specs/om/open_metrics_spec/,
/// https://prometheus.io/docs/instrumenting/exposition_formats/)
public struct MetricsText: Sendable {
  public enum Format: String, Sendable, CaseIterable {
    /// What `promtool check metrics`, node_exporter and Prometheus read. Ends with `# EOF` all the same,
    /// a comment there, so that who gets a part of it can tell.
    case prometheus
    /// To the letter, with units.
    case openmetrics
  }

  private let format: Format
  private let sample: SharesSample

  public init(_ sample: SharesSample, format: Format) {
    self.format = format
    self.sample = sample
  }

  /// The whole text. Figures that there are none of are left out.
  public var text: String {
    var text = ""
    for family in MetricFamily.ofSlices {
      write(family, Self.samples(of: family, in: sample.slices), to: &text)
    }
    for family in MetricFamily.ofNode {
      let values = Self.values(of: family, in: sample.node)
      write(family, values.map { ($0.labels, $0.value) }, to: &text)
    }
    return text + "# EOF\n"
  }

  private static func samples(
    of family: MetricFamily, in slices: [JSONValue]
  ) -> [(labels: [(String, String)], value: Double)] {
    slices.flatMap { slice in
      let whose = [("slice", slice["name"].string ?? ""), ("owner", slice["owner"].string ?? "")]
      return values(of: family, in: slice).map { (whose + $0.labels, $0.value) }
    }
  }

  private static func values(
    of family: MetricFamily, in row: JSONValue
  ) -> [(labels: [(String, String)], value: Double)] {
    family.figures.compactMap { figure in
      figure.value(row).map { (figure.label.map { [$0] } ?? [], $0) }
    } + family.rows(row)
  }

  private func write(
    _ family: MetricFamily, _ samples: [(labels: [(String, String)], value: Double)],
    to text: inout String
  ) {
    guard !samples.isEmpty else { return }
    let sampleName = family.name + (family.kind == .counter ? "_total" : "")
    let familyName = format == .openmetrics ? family.name : sampleName
    text += "# HELP \(familyName) \(family.help)\n# TYPE \(familyName) \(family.kind.rawValue)\n"
    if format == .openmetrics, let unit = family.unit { text += "# UNIT \(familyName) \(unit)\n" }
    for (labels, value) in samples {
      let written = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
      text += sampleName + (labels.isEmpty ? "" : "{\(written)}") + " \(Self.number(value))\n"
    }
  }

  /// Backslash, quote and newline; other control characters, which neither format forbids, as they are
  /// shown elsewhere: the text may be looked at on a terminal.
  private static func escaped(_ value: String) -> String {
    var result = ""
    for character in value.escapedForTerminal.unicodeScalars {
      if character == "\\" || character == "\"" { result += "\\" }
      result.unicodeScalars.append(character)
    }
    return result
  }

  private static func number(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
  }
}
