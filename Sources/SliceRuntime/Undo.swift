import SliceModel

/// What has to be taken back if a construction fails, in reverse order.
///
/// Every step that makes something registers its removal at once. `commit` keeps what was made.
struct Undo: ~Copyable {
  private var actions: [(what: String, action: () throws -> Void)] = []

  mutating func add(_ what: String, _ action: @escaping () throws -> Void) {
    actions.append((what, action))
  }

  consuming func commit() {}

  /// Takes everything back; goes on after a failure. Returns what could not be taken back.
  consuming func roll() -> [String] {
    actions.reversed().compactMap { entry in
      do {
        try entry.action()
        return nil
      } catch {
        return "\(entry.what): \(error)"
      }
    }
  }
}

extension SliceError {
  /// The error, with what its cleaning up left behind.
  func leaving(_ leftovers: [String]) -> SliceError {
    guard !leftovers.isEmpty else { return self }
    return SliceError(
      code, message + "; left behind: " + leftovers.joined(separator: "; "), hint: hint)
  }
}
