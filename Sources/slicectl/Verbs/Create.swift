import ArgumentParser
import SliceClient
import SliceConfiguration
import SliceInterface
import SliceModel

struct Create: Verb {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Build a slice and start it.",
    discussion: """
      Returns when the service has been executed, or says why not and leaves nothing behind. \
      What the flags say goes over what the file says. Without a command the image's own runs; if \
      it has none, the slice waits to be entered.

        slicectl create web --image host --set cpu.weight=200 \\
            --set memory.max=256M --set pids.max=64 -- \\
            python3 -m http.server 8080
        slicectl create web --file slice.toml

      slice.toml(5) lists the keys of --set, which are those of the file.
      """)

  @OptionGroup(title: "Global options") var global: GlobalOptions

  @Argument(help: "A lower-case letter, then up to 31 lower-case letters, digits or '-'.")
  var name: String

  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp("Read what is wanted from this slice.toml.", valueName: "slice.toml"),
    completion: .file(extensions: ["toml"]))
  var file: String?

  @Option(
    help: "Name or digest of the image; 'host' and 'minimal' are always there. (default: host)",
    completion: Completions.images)
  var image: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A limit or grant, such as memory.max=256M.", valueName: "key=value"),
    completion: Completions.settings)
  var settings: [String] = []

  @Option(
    help: ArgumentHelp(
      "Read which system calls it may make from this file; see slice.toml(5).",
      valueName: "profile.toml"), completion: .file(extensions: ["toml"]))
  var seccomp: String?

  @Option(
    name: [.customShort("e"), .long],
    help: ArgumentHelp("A variable for the service.", valueName: "name=value"))
  var env: [String] = []

  @Option(
    name: [.customShort("u"), .long],
    help: "USER, UID, USER:GROUP or UID:GID, as the image knows them.")
  var user: String?

  @Option(
    name: [.customShort("w"), .long],
    help: ArgumentHelp("Where the service starts, inside the slice.", valueName: "directory"))
  var workdir: String?

  @Option(help: "When to start a service again that ended by itself. (default: no)")
  var restart: RestartPolicy?

  @Flag(help: "Build it without starting it.")
  var noStart = false

  @Flag(help: "Build it even where this host cannot enforce every limit; inspect shows which.")
  var allowUnenforced = false

  @Argument(parsing: .postTerminator, help: "The service, after '--'.")
  var command: [String] = []

  var operation: String { "create \(name.escapedForTerminal)" }

  func perform() throws {
    let name = try SliceName(name)
    let slice = try supervisor.create(name, spec: specification(), start: !noStart)
    if !slice.unenforced.isEmpty, !global.quiet, !global.json {
      let keys = slice.unenforced.joined(separator: ", ").escapedForTerminal
      ErrorOutput(isJSON: false).write("slicectl: not enforced on this host: \(keys)\n")
    }
    output.print(CreationReport(slice: slice))
  }

  /// What the file says, with what the flags say over it.
  func specification() throws(SliceError) -> SliceSpec {
    var spec = SliceSpec()
    if let file {
      spec = try SliceFile.parse(bytes: TextFile.read(file), fileName: file).spec
    }
    if let image { spec.image = image }
    if !command.isEmpty { spec.command = command }
    if let user { spec.user = user }
    if let workdir { spec.workdir = workdir }
    if let restart { spec.restart = restart }
    spec.environment = Self.merged(spec.environment, env)
    spec.allowUnenforced = allowUnenforced
    if let seccomp {
      for rule in try SeccompFile.parse(bytes: TextFile.read(seccomp), fileName: seccomp) {
        try spec.settings.set(rule.key, to: rule.text)
      }
    }
    try spec.settings.apply(settings)
    try spec.validate()
    return spec
  }

  /// A later entry of the same name replaces the earlier.
  private static func merged(_ base: [String], _ changes: [String]) -> [String] {
    changes.reduce(into: base) { entries, entry in
      let name = entry.prefix { $0 != "=" } + "="
      entries.removeAll { $0.hasPrefix(name) }
      entries.append(entry)
    }
  }
}

extension RestartPolicy: ExpressibleByArgument {}
