import ArgumentParser
import Descriptor
import Glibc
import SliceClient
import SliceModel

struct Top: Verb {
  static let configuration = CommandConfiguration(
    commandName: "top",
    abstract: "Show what slices do use, live.",
    discussion: """
      On a terminal: keys c m i n p N sort by processors, memory, disk, network, processes and name, t \
      shows the cgroups inside slices, ? explains, q quits. Elsewhere, or with --json: a table, or an \
      array, for each sample.

        slicectl top
        slicectl top -d 10s --sort memory
        slicectl top -n 1 | head
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "One slice; without it, all that are yours.", completion: Completions.slices)
  var name: String?

  @Option(
    name: [.customShort("d"), .customLong("delay")],
    help: ArgumentHelp(
      "Between two samples, such as 500ms or 10s. (default: 2s)", valueName: "time"))
  var delay: String?

  @Option(
    name: [.customShort("n"), .customLong("count")],
    help: ArgumentHelp("End after so many samples.", valueName: "number"))
  var count: Int?

  @OptionGroup var table: TableOptions

  var operation: String { name.map { "top \($0.escapedForTerminal)" } ?? "top" }

  func perform() throws {
    let name = try name.map(SliceName.init)
    let interval = try delay.map(TimeSpan.init(option:)) ?? TimeSpan(seconds: 2)
    guard interval.milliseconds >= 100 else {
      throw SliceError(.usage, "--delay takes a time from 100ms on")
    }
    if let count, count < 1 { throw SliceError(.usage, "--count takes a number from 1 on") }
    let first = try supervisor.shares(name, tree: table.tree)
    if output.format == .text, let screen = FullScreen() {
      try showLive(name, first, interval, screen)
    } else {
      print(name, first, interval)
    }
  }

  private func showLive(
    _ name: SliceName?, _ first: SharesSample, _ interval: TimeSpan, _ screen: FullScreen
  ) throws {
    let status: Int32
    do throws(SystemError) {
      let model = TopModel(
        order: table.sort ?? .cpu, tree: table.tree, intervalText: interval.description)
      status = try TopSession(
        screen, SharesSampler(supervisor, name: name), model, first: first, interval: interval,
        count: count
      ).run()
    } catch {
      throw SliceError(.failed, "\(error)")
    }
    if status != 0 { throw ExitCode(status) }
  }

  /// A table for each sample. A supervisor that is gone for a while is said and waited for.
  private func print(_ name: SliceName?, _ first: SharesSample, _ interval: TimeSpan) {
    var earlier = first
    var left = count ?? .max
    while left > 0 {
      usleep(UInt32(clamping: min(interval.milliseconds, 86_400_000) * 1000))
      do throws(SliceError) {
        let sample = try supervisor.shares(name, tree: table.tree)
        let rated = sample.withRates(since: earlier)
        earlier = sample
        output.printNext(
          SharesReport(
            .rates, sample: rated, order: table.sort ?? .cpu, showsTotal: name == nil,
            isFollowed: left > 1))
        left -= 1
      } catch {
        ErrorOutput(isJSON: global.json).report(error.within(operation))
      }
    }
  }
}
