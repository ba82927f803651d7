import SliceModel

/// A file of system call rules, for `slicectl create --seccomp`: the keys of slice.toml's table
/// `[seccomp]`, without the table.
public enum SeccompFile {
  private static let prefix = "seccomp."

  /// What the file says, by key.
  public static func parse(
    bytes: [UInt8], fileName: String
  ) throws(SliceError) -> [(key: Key, text: String)] {
    var result: [(key: Key, text: String)] = []
    for member in try TOMLValue(parsing: bytes, fileName: fileName).table() {
      guard let key = Key(rawValue: prefix + member.name) else {
        let known = Key.allCases.map(\.rawValue).filter { $0.hasPrefix(prefix) }
          .map { String($0.dropFirst(prefix.count)) }
        throw member.unknown(
          suggestion: nearest(to: member.name, among: known),
          otherwise: "known here: " + known.joined(separator: ", "))
      }
      guard let text = member.value.settingText(for: key.form) else {
        throw member.value.mismatch(key.form.expectation)
      }
      var trial = Settings()
      try member.value.check { () throws(SliceError) in try trial.set(key, to: text) }
      result.append((key, text))
    }
    return result
  }
}
