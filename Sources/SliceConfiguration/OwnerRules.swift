import SliceModel

// The tables `defaults`, `owners` and `lease` of node.toml.
extension NodePolicyFile {
  static func readDefaults(_ value: TOMLValue?) throws(SliceError) -> Settings {
    guard let value else { return Settings() }
    var reader = SettingsReader(below: "defaults.")
    for member in try value.table() { try reader.read(member) }
    let settings = reader.settings
    try value.check { () throws(SliceError) in try settings.validate() }
    return settings
  }

  static func readOwners(_ value: TOMLValue?) throws(SliceError) -> [NodePolicy.OwnerRule] {
    guard let value else { return [] }
    // A TOML table has no order, but a file has, and among several groups the first is to count.
    let members = try value.table().sorted {
      ($0.location.line, $0.location.column) < ($1.location.line, $1.location.column)
    }
    var rules: [NodePolicy.OwnerRule] = []
    for member in members {
      let name = member.name
      guard
        name == "*" || isUserID(name)
          || isGroupName(name.hasPrefix("@") ? String(name.dropFirst()) : name)
      else {
        throw member.location.error(
          "owners: '\(name.shownInMessage)' is neither a user nor a group",
          hint: "write \"USER\", \"@GROUP\", or \"*\" for everybody else")
      }
      var reader = OwnerBoundsReader(below: member.value.path + ".")
      for child in try member.value.table() { try reader.read(child) }
      rules.append(NodePolicy.OwnerRule(subject: name, bounds: reader.bounds))
    }
    return rules
  }

  /// Of a user that the host's files do not know.
  private static func isUserID(_ text: String) -> Bool {
    UInt32(text).map { "\($0)" == text } ?? false
  }

  static func readLease(_ reader: TableReader) throws(SliceError) -> LeaseTerms {
    var table = reader
    var terms = LeaseTerms()
    if let value = table.take("grace") { terms.grace = try value.timeSpan() }
    if let value = table.take("warning") { terms.warning = try value.timeSpan() }
    try table.finish()
    return terms
  }
}

/// Reads the bounds of one owner: plain words, and sums under the keys of slices.
private struct OwnerBoundsReader {
  private(set) var bounds = OwnerBounds()
  private let base: String

  init(below base: String) { self.base = base }

  private static let words = [
    "slices", "images", "grants", "networks", "ports", "overlays", "lease",
  ]
  private static let keys = Key.allCases.filter { $0.sum != nil }

  /// Reads one member of the table and all below it.
  mutating func read(_ member: TOMLMember) throws(SliceError) {
    let value = member.value
    let path = String(value.path.dropFirst(base.count))
    switch path {
    case "slices": bounds.slices = Int(try value.integer(in: 0...1_000_000))
    case "images": bounds.images = try value.words("names of images, with * at the end", isPattern)
    case "grants": bounds.grants = Set(try value.words(Self.grants, Grants.kinds.contains))
    case "networks":
      bounds.networks = try value.array("an array of texts").map { (element) throws(SliceError) in
        try element.parsed(NetworkAllowance.expectation, NetworkAllowance.init)
      }
    case "ports":
      let expectation = "an array of ports such as \"443\", \"53/udp\" or \"8000-8999/tcp\""
      bounds.ports = try value.array(expectation).map { (element) throws(SliceError) in
        try element.parsed("a port or a range of ports, in quotes, such as \"8000-8999/tcp\"") {
          PortRange($0)
        }
      }
    case "overlays": bounds.overlays = Int(try value.integer(in: 0...256))
    case "lease":
      let span = try value.timeSpan()
      guard span.milliseconds > 0 else { throw value.mismatch(Key.lease.form.expectation) }
      bounds.longestLease = span
    default: try readSum(member, path)
    }
  }

  private static let grants = "words of " + Grants.kinds.joined(separator: ", ")

  private func isPattern(_ text: String) -> Bool {
    text == "*" || ImageReference.isName(text.hasSuffix("*") ? String(text.dropLast()) : text)
  }

  private mutating func readSum(_ member: TOMLMember, _ path: String) throws(SliceError) {
    if let key = Self.keys.first(where: { $0.rawValue == path }) {
      guard let text = member.value.settingText(for: key.sumForm),
        let amount = Settings.Value(text, form: key.sumForm)?.amount
      else { throw member.value.mismatch(key.sumForm.expectation) }
      guard bounds.sums.updateValue(amount, forKey: key) == nil else {
        throw member.location.error("\(member.value.path.shownInMessage) is set twice")
      }
    } else if Self.keys.contains(where: { $0.rawValue.hasPrefix(path + ".") }) {
      for child in try member.value.table() { try read(child) }
    } else {
      let known = Self.words + Self.keys.map(\.rawValue)
      throw member.unknown(
        suggestion: nearest(to: path, among: known),
        otherwise:
          "known here: slices, images, grants, networks, ports, overlays, lease, and the keys that can be added up"
      )
    }
  }
}

extension TOMLValue {
  /// Nothing is a time too.
  fileprivate func timeSpan() throws(SliceError) -> TimeSpan {
    guard let text = settingText(for: Key.lease.form), let span = TimeSpan(text) else {
      throw mismatch(Key.lease.form.expectation)
    }
    return span
  }

  fileprivate func words(
    _ expectation: String, _ isValid: (String) -> Bool
  ) throws(SliceError) -> [String] {
    var words: [String] = []
    for element in try array("an array of \(expectation)") {
      words.append(try element.parsed(expectation) { isValid($0) ? $0 : nil })
    }
    return words
  }
}
