import SliceModel

/// What a slice.toml asks for; its keys are described in slice.toml(5).
public struct SliceFile: Sendable, Hashable {
  /// The top-level keys beside the settings.
  public enum Field: String, Sendable, Hashable, CaseIterable {
    case image, command, env, user, workdir, restart, mount
  }

  /// Every value fits its key, but values may contradict one another, since command line flags can
  /// still replace some: `SliceSpec.validate()` decides once those are applied.
  public var spec: SliceSpec
  /// The fields that the file sets; the settings it sets are `spec.settings.keys`.
  public var fields: Set<Field>

  /// Reads a text of at most 1 MiB; `fileName` serves the messages alone.
  public static func parse(text: String, fileName: String) throws(SliceError) -> SliceFile {
    try parse(bytes: Array(text.utf8), fileName: fileName)
  }

  /// As `parse(text:fileName:)`, of a file's content as it is: invalid UTF-8 is an error.
  public static func parse(bytes: [UInt8], fileName: String) throws(SliceError) -> SliceFile {
    let root = try TOMLValue(parsing: bytes, fileName: fileName)
    var file = SliceFile(spec: SliceSpec(), fields: [])
    var settings = SettingsReader()
    for member in try root.table() {
      if let field = Field(rawValue: member.name) {
        try file.spec.read(field, from: member.value)
        file.fields.insert(field)
      } else {
        try settings.read(member)
      }
    }
    file.spec.settings = settings.settings
    return file
  }
}

extension SliceSpec {
  fileprivate mutating func read(
    _ field: SliceFile.Field, from value: TOMLValue
  ) throws(SliceError) {
    switch field {
    case .image:
      image = try value.parsed("the name or digest of an image, in quotes") {
        ImageReference.isValid($0) ? $0 : nil
      }
    case .command: command = try commandLine(value)
    case .env: environment = try environmentEntries(value)
    case .user: user = try userName(value)
    case .workdir:
      let path = try value.string("an absolute path, in quotes")
      try value.check { () throws(SliceError) in try SliceSpec.validate(workdir: path) }
      workdir = path
    case .restart:
      let words = RestartPolicy.allCases.map { "\"\($0.rawValue)\"" }
      restart = try value.parsed("one of " + words.joined(separator: ", ")) {
        RestartPolicy(rawValue: $0)
      }
    case .mount: mounts = try temporaryMounts(value)
    }
  }
}

private func commandLine(_ value: TOMLValue) throws(SliceError) -> [String] {
  let expectation = "an array of strings"
  if case .string = value.content {
    // Splitting it would guess at quoting; a shell has to be asked for.
    throw value.mismatch(
      expectation,
      hint: #"write command = ["PROGRAM", "ARG"], or command = ["/bin/sh", "-c", "…"] for a shell"#)
  }
  var command: [String] = []
  for element in try value.array(expectation) {
    command.append(try element.string("a string"))
  }
  try value.check { () throws(SliceError) in try SliceSpec.validate(command: command) }
  return command
}

private func environmentEntries(_ value: TOMLValue) throws(SliceError) -> [String] {
  var entries: [String] = []
  if case .array(let elements) = value.content {
    for element in elements {
      let entry = try element.string("\"NAME=VALUE\"")
      try element.check { () throws(SliceError) in try SliceSpec.validate(environment: [entry]) }
      entries.append(entry)
    }
  } else {
    for member in try value.table("a table of strings, or an array of \"NAME=VALUE\"") {
      guard !member.name.isEmpty, !member.name.utf8.contains(UInt8(ascii: "=")) else {
        throw member.location.error(
          "env: '\(member.name.shownInMessage)' is not the name of a variable")
      }
      // A number's spelling (0o22, 1.50) would be lost, so only a string says what is meant.
      entries.append("\(member.name)=\(try member.value.string("a string, in quotes"))")
    }
  }
  try value.check { () throws(SliceError) in try SliceSpec.validate(environment: entries) }
  return entries
}

private func userName(_ value: TOMLValue) throws(SliceError) -> String {
  let user: String
  if case .integer(let number) = value.content, (0...Int64(UInt32.max)).contains(number) {
    user = "\(number)"
  } else {
    user = try value.string("a user such as \"www-data\", 33 or \"33:33\"")
  }
  try value.check { () throws(SliceError) in try SliceSpec.validate(user: user) }
  return user
}

private func temporaryMounts(_ value: TOMLValue) throws(SliceError) -> [TemporaryMount] {
  if case .table = value.content {
    throw value.mismatch("a list of tables", hint: "write [[mount]] above each")
  }
  var mounts: [TemporaryMount] = []
  for element in try value.array("a list of [[mount]] tables") {
    let mount = try temporaryMount(element)
    guard !mounts.contains(where: { $0.target == mount.target }) else {
      throw element.location.error("mount: '\(mount.target.shownInMessage)' is mounted twice")
    }
    mounts.append(mount)
  }
  return mounts
}

private func temporaryMount(_ value: TOMLValue) throws(SliceError) -> TemporaryMount {
  var table = try TableReader(value)
  let type = table.take("type")
  let target = table.take("target")
  let size = table.take("size")
  try table.finish()
  guard let type else { throw value.location.error("mount: type is missing; write \"tmpfs\"") }
  _ = try type.parsed("\"tmpfs\"") { $0 == "tmpfs" ? $0 : nil }
  guard let target else {
    throw value.location.error("mount: target is missing; write a path inside the slice")
  }
  let path = try target.string("an absolute path, in quotes")
  try target.check { () throws(SliceError) in try TemporaryMount(target: path).validate() }
  guard let size else { return TemporaryMount(target: path) }
  let mount = TemporaryMount(target: path, sizeBytes: try byteCount(size))
  try size.check { () throws(SliceError) in try mount.validate() }
  return mount
}

private func byteCount(_ value: TOMLValue) throws(SliceError) -> UInt64 {
  if case .integer(let number) = value.content, number >= 0 { return UInt64(number) }
  return try value.parsed("a size such as \"64M\"") { ByteSize($0)?.bytes }
}
