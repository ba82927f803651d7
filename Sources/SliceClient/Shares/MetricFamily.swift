import SliceModel

/// A metric: its name, what it says, and where its figures lie in the objects of `shares --json`.
struct MetricFamily: Sendable {
  enum Kind: String, Sendable { case gauge, counter }

  struct Figure: Sendable {
    /// Beside those of the slice.
    var label: (String, String)?
    var value: @Sendable (JSONValue) -> Double?
  }

  /// What the labels of a figure are known by only when it is there.
  typealias Rows = @Sendable (JSONValue) -> [(labels: [(String, String)], value: Double)]

  /// Without `_total`.
  let name: String
  let kind: Kind
  /// One sentence, without backslashes and line ends.
  let help: String
  var figures: [Figure] = []
  var rows: Rows = { _ in [] }

  /// As the last word of the name says it.
  var unit: String? {
    ["seconds", "bytes", "ratio"].first { name.hasSuffix("_" + $0) }
  }

  // MARK: - To add a metric, add it here

  static let ofSlices: [MetricFamily] =
    [
      MetricFamily(
        name: "slice_running", kind: .gauge, help: "Whether the slice runs or is paused.",
        figures: [
          Figure { row in
            row["state"].string.map { $0 == "running" || $0 == "paused" ? 1 : 0 }
          }
        ]),
      gauge("slice_cpu_weight", "cpu", "weight", "Weight of the slice where processors are short."),
      gauge(
        "slice_cpu_share_ratio", "cpu", "share",
        "Part of the processors that the weight guarantees among the slices that run now."),
      gauge("slice_cpu_max_cores", "cpu", "maxCores", "Ceiling, in processors."),
      gauge("slice_memory_min_bytes", "memory", "minBytes", "Memory that is guaranteed."),
      gauge("slice_memory_low_bytes", "memory", "lowBytes", "Memory that is protected."),
      gauge("slice_memory_high_bytes", "memory", "highBytes", "Memory above which it is slowed."),
      gauge("slice_memory_max_bytes", "memory", "maxBytes", "Ceiling of memory."),
      gauge("slice_pids_max", "pids", "max", "Ceiling of processes and threads."),
      gauge("slice_io_weight", "io", "weight", "Weight of the slice where the disk is short."),
      gauge(
        "slice_io_share_ratio", "io", "share",
        "Part of the disk's bandwidth that the weight stands for among the slices that run now."),
      gauge("slice_disk_max_bytes", "disk", "maxBytes", "Ceiling of the slice's own storage."),
      gauge("slice_disk_used_bytes", "disk", "usedBytes", "Use of the slice's own storage."),
      gauge("slice_net_weight", "net", "weight", "Weight of the slice where the uplink is short."),
      gauge(
        "slice_net_share_ratio", "net", "share",
        "Part of the uplink that the slice gets when all that run now send as much as they can."),
      rate(
        "slice_net_min_bytes_per_second", "minBitsPerSecond",
        "What the slice can always send by the uplink."),
      rate(
        "slice_net_max_bytes_per_second", "maxBitsPerSecond",
        "Ceiling of what it sends by the uplink."),
      rate(
        "slice_net_receive_max_bytes_per_second", "inMaxBitsPerSecond",
        "Ceiling of what it receives."),
      drops("packets", "Packets of the slice dropped by the classifier, by reason."),
      drops("bytes", "What the classifier has dropped of the slice's packets, by reason."),
    ] + use("slice", "the slice")

  static let ofNode: [MetricFamily] =
    [
      gauge("slices_node_slices", "slices", "total", "Slices on this node."),
      gauge("slices_node_slices_running", "slices", "running", "Slices that run or are paused."),
      gauge("slices_node_cpu_processors", "cpu", "processors", "Processors of the host."),
      gauge(
        "slices_node_cpu_max_cores", "cpu", "maxCores", "Ceiling of all slices, in processors."),
      gauge("slices_node_memory_host_bytes", "memory", "totalBytes", "Memory of the host."),
      gauge("slices_node_memory_max_bytes", "memory", "maxBytes", "Ceiling of all slices' memory."),
      gauge("slices_node_pids_max", "pids", "max", "Ceiling of all slices' processes and threads."),
      rate(
        "slices_node_net_max_bytes_per_second", "maxBitsPerSecond",
        "Ceiling of what all slices send by an uplink."),
    ] + use("slices_node", "all slices together")

  /// What is counted for one slice and for all.
  private static func use(_ prefix: String, _ who: String) -> [MetricFamily] {
    [
      counter("\(prefix)_cpu_usage_seconds", "cpu", "usageSeconds", "Processor time of \(who)."),
      counter(
        "\(prefix)_cpu_throttled_seconds", "cpu", "throttledSeconds",
        "Time that the ceiling held back \(who)."),
      counter(
        "\(prefix)_cpu_periods", "cpu", "periods",
        "Periods of the ceiling in which it wanted to run."),
      counter(
        "\(prefix)_cpu_throttled_periods", "cpu", "throttledPeriods",
        "Periods of the ceiling in which it was held back."),
      gauge("\(prefix)_memory_current_bytes", "memory", "currentBytes", "Memory of \(who)."),
      gauge(
        "\(prefix)_memory_peak_bytes", "memory", "peakBytes", "The most memory that \(who) had."),
      gauge("\(prefix)_memory_swap_bytes", "memory", "swapBytes", "Swap of \(who)."),
      counter(
        "\(prefix)_memory_oom_kills", "memory", "oomKills", "Processes killed for want of memory."),
      gauge("\(prefix)_pids_current", "pids", "current", "Processes and threads of \(who)."),
      counter("\(prefix)_io_read_bytes", "io", "readBytes", "Read from disks."),
      counter("\(prefix)_io_written_bytes", "io", "writtenBytes", "Written to disks."),
      counter("\(prefix)_io_read_operations", "io", "readOperations", "Reads from disks."),
      counter("\(prefix)_io_written_operations", "io", "writtenOperations", "Writes to disks."),
      counter("\(prefix)_net_sent_bytes", "net", "sentBytes", "Sent by \(who)."),
      counter("\(prefix)_net_received_bytes", "net", "receivedBytes", "Received by \(who)."),
      counter("\(prefix)_net_sent_packets", "net", "sentPackets", "Packets sent by \(who)."),
      counter(
        "\(prefix)_net_received_packets", "net", "receivedPackets", "Packets received by \(who)."),
      counter(
        "\(prefix)_net_dropped_packets", "net", "droppedPackets", "Packets of \(who) dropped."),
      MetricFamily(
        name: "\(prefix)_pressure_waiting_seconds", kind: .counter,
        help: "Time that some process of \(who) waited for a resource.",
        figures: ["cpu", "memory", "io"].map { kind in
          Figure(label: ("resource", kind)) { $0["pressure"]["\(kind)Seconds"].number }
        }),
    ]
  }

  /// Named apart from `slice_net_dropped_packets`, which has what the link has lost as well.
  private static func drops(_ unit: String, _ help: String) -> MetricFamily {
    MetricFamily(
      name: "slice_net_refused_\(unit)", kind: .counter, help: help,
      rows: { slice in
        (slice["net"]["drops"].array ?? []).compactMap { row in
          guard let reason = row["reason"].string, let direction = row["direction"].string,
            let value = row[unit].number
          else { return nil }
          return ([("direction", direction), ("reason", reason)], value)
        }
      })
  }

  private static func gauge(
    _ name: String, _ group: String, _ key: String, _ help: String
  ) -> MetricFamily {
    MetricFamily(
      name: name, kind: .gauge, help: help, figures: [Figure { $0[group][key].number }])
  }

  private static func rate(_ name: String, _ key: String, _ help: String) -> MetricFamily {
    MetricFamily(
      name: name, kind: .gauge, help: help,
      figures: [Figure { $0["net"][key].number.map { $0 / 8 } }])
  }

  private static func counter(
    _ name: String, _ group: String, _ key: String, _ help: String
  ) -> MetricFamily {
    MetricFamily(
      name: name, kind: .counter, help: help, figures: [Figure { $0[group][key].number }])
  }
}
