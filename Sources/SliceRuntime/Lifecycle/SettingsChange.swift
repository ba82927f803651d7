import SliceModel

/// What `set` makes of a slice's specification.
struct SettingsChange {
  let spec: SliceSpec

  /// `restart` is taken beside the keys.
  init(_ record: SliceRecord, _ changes: [String: String]) throws(SliceError) {
    var spec = record.spec
    guard !changes.isEmpty else {
      throw SliceError(.usage, "nothing to change", hint: "give KEY=VALUE")
    }
    for (name, text) in changes.sorted(by: { $0.key < $1.key }) {
      if name == "restart" {
        guard let policy = RestartPolicy(rawValue: text) else {
          throw SliceError(
            .usage, "restart=\(text.escapedForTerminal) is not valid",
            hint: "one of " + RestartPolicy.allCases.map(\.rawValue).joined(separator: ", "))
        }
        spec.restart = policy
        continue
      }
      let key = try Key(parsing: name)
      guard key.isChangeable else {
        throw SliceError(
          .usage, "\(name) is fixed when a slice is created",
          hint: "destroy it and create it anew")
      }
      try spec.settings.set(key, to: text)
    }
    try spec.settings.validate()
    self.spec = spec
  }
}
