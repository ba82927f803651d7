import SliceModel

/// Reads the settings of a slice.toml: a key's dots are TOML's tables, so that `[memory.swap] max`,
/// `memory.swap.max` and `"memory.swap.max"` are the same.
struct SettingsReader {
  /// What stands before every path: `defaults.` in node.toml.
  private let base: String
  private(set) var settings = Settings()
  private var locations: [Key: SourceLocation] = [:]

  init(below base: String = "") { self.base = base }

  /// Reads one member of the table and all below it.
  mutating func read(_ member: TOMLMember) throws(SliceError) {
    let path = String(member.value.path.dropFirst(base.count))
    if let key = Key(rawValue: path) {
      try set(key, from: member)
    } else if Self.groups.contains(path) {
      let example = Key.allCases.first { $0.rawValue.hasPrefix(path + ".") }?.rawValue ?? path
      for child in try member.value.table("a table with keys such as \(example)") {
        try read(child)
      }
    } else {
      throw unknown(member)
    }
  }

  /// The tables: `memory`, `memory.swap`, …
  private static let groups: Set<String> = {
    var groups: Set<String> = []
    for key in Key.allCases {
      let parts = key.rawValue.split(separator: ".")
      for length in 1..<max(parts.count, 1) {
        groups.insert(parts[..<length].joined(separator: "."))
      }
    }
    return groups
  }()

  private mutating func set(_ key: Key, from member: TOMLMember) throws(SliceError) {
    if let first = locations[key] {
      throw member.location.error("\(key.rawValue) is set twice, first in line \(first.line)")
    }
    locations[key] = member.location
    guard let text = member.value.settingText(for: key.form) else {
      throw member.value.mismatch(key.form.expectation)
    }
    var changed = settings
    try member.value.check { () throws(SliceError) in try changed.set(key, to: text) }
    settings = changed
  }

  private func unknown(_ member: TOMLMember) -> SliceError {
    let fields = base.isEmpty ? SliceFile.Field.allCases.map(\.rawValue) : []
    let path = String(member.value.path.dropFirst(base.count))
    if fields.contains(member.name) {
      return member.unknown(
        suggestion: nil, otherwise: "write '\(member.name)' above the first [table]")
    }
    let candidates = fields + Key.allCases.map(\.rawValue) + Self.groups.sorted()
    let group = path.prefix { $0 != "." }
    let related = Key.allCases.map(\.rawValue).filter { $0.hasPrefix(group + ".") }
    return member.unknown(
      suggestion: nearest(to: path, among: candidates),
      otherwise: related.isEmpty
        ? "slice.toml(5) lists the keys" : "keys of \(group): " + related.joined(separator: ", "))
  }
}

extension TOMLValue {
  /// The value as `--set` would be given it; nil when its type makes no sense for the form, or for
  /// an empty string: that is a template gone wrong more often than a wish for the default.
  func settingText(for form: Key.Form) -> String? {
    switch (content, form) {
    case (.string(let text), _):
      // The longest value anybody can mean; also keeps messages readable.
      return text.isEmpty || text.utf8.count > 4096 ? nil : text
    case (.integer(let value), .count), (.integer(let value), .bytes), (.integer(let value), .rate),
      (.integer(let value), .cpu), (.integer(let value), .processors), (.integer(let value), .time),
      (.integer(let value), .ports):
      return "\(value)"
    case (.number(let value), .cpu), (.number(let value), .time): return "\(value)"
    case (.boolean(let value), .flag): return "\(value)"
    case (.array(let elements), .list), (.array(let elements), .processors),
      (.array(let elements), .ports):
      let items = elements.map(\.listItem)
      return items.contains(nil) ? nil : items.compactMap(\.self).joined(separator: ",")
    default: return nil
    }
  }

  private var listItem: String? {
    switch content {
    case .string(let text): text.isEmpty || text.contains(",") ? nil : text
    case .integer(let value): "\(value)"
    default: nil
    }
  }
}
