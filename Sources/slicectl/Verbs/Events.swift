import ArgumentParser
import SliceClient
import SliceModel

struct Events: Verb {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Show what has happened to slices, and who did it.",
    discussion: """
      With --json: an array of events, with --follow one event a line.

        slicectl events
        slicectl events -f
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Flag(name: .shortAndLong, help: "Go on with what happens from now on.")
  var follow = false

  var operation: String { "events" }

  func perform() throws {
    var collected: [JSONValue] = []
    try supervisor.events(follow: follow) { events in
      for event in events.map(EventReport.init) {
        if global.json, !follow {
          collected.append(event.json)
        } else {
          output.printNext(event)
        }
      }
    }
    if global.json, !follow { output.printWhole(.array(collected)) }
  }
}
