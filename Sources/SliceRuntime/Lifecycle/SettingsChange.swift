import SliceModel

/// What `set` makes of a slice's specification.
struct SettingsChange {
  var spec: SliceSpec
  /// A lease that is set counts from now.
  let setsLease: Bool

  /// `restart` is taken beside the keys. What is removed goes back to the node's default.
  init(
    _ record: SliceRecord, _ changes: [String: String], _ policy: NodePolicy,
    within bounds: OwnerBounds?
  ) throws(SliceError) {
    var spec = record.spec
    guard !changes.isEmpty else {
      throw SliceError(.usage, "nothing to change", hint: "give KEY=VALUE")
    }
    var keys: [Key] = []
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
      keys.append(key)
    }
    spec.settings = try policy.completed(spec.settings, keys, within: bounds)
    self.spec = spec
    setsLease = keys.contains(.lease)
  }
}
