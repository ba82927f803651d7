import SliceKernel
import SliceModel

/// Users and groups of the host, from its files: a static program has no NSS, and the supervisor
/// should not load what a name service puts into its address space.
enum Accounts {
  private static func fields(_ path: String, _ matches: ([Substring]) -> Bool) -> [Substring]? {
    // A host without the file has no such account.
    guard let text = try? Files.readText(path) else { return nil }
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: ":", omittingEmptySubsequences: false)
      if fields.count >= 4, matches(fields) { return fields }
    }
    return nil
  }

  /// The name of a user id; the number itself when it has none.
  static func userName(_ id: UInt32) -> String {
    fields("/etc/passwd") { $0[2] == "\(id)" }.map { String($0[0]) } ?? "\(id)"
  }

  /// Names of the groups that a user is in.
  ///
  /// - Parameter group: the primary one of a user that the host's files do not know. Of others theirs
  ///   counts, so that nobody chooses bounds by the group that a program runs with.
  static func groups(of user: String, otherwise group: UInt32) -> Set<String> {
    let primary = fields("/etc/passwd") { $0[0] == user }.map { String($0[3]) } ?? "\(group)"
    var names: Set<String> = []
    _ = fields("/etc/group") { entry in
      if entry[2] == primary || entry[3].split(separator: ",").contains(where: { $0 == user }) {
        names.insert(String(entry[0]))
      }
      return false
    }
    return names
  }

  /// Whether a user is in the group, by membership or as its primary one.
  static func isMember(_ user: String, primaryGroup: UInt32, of group: String) -> Bool {
    guard let entry = fields("/etc/group", { $0[0] == group }) else { return false }
    return entry[2] == "\(primaryGroup)" || entry[3].split(separator: ",").contains { $0 == user }
  }
}
