import CTerminal
import Descriptor
import Glibc
import SliceInterface

/// A terminal that the caller sits at.
public struct LocalTerminal: Sendable {
  private let descriptor: Int32

  /// Nil when `descriptor`, which stays the caller's, is not a terminal.
  public init?(_ descriptor: Int32) {
    guard isatty(descriptor) == 1 else { return nil }
    self.descriptor = descriptor
  }

  /// Nil where the terminal doesn't know its size.
  public var size: TerminalSize? {
    var rows: UInt16 = 0
    var columns: UInt16 = 0
    guard terminal_get_size(descriptor, &rows, &columns) == 0, rows > 0, columns > 0 else {
      return nil
    }
    return TerminalSize(rows: rows, columns: columns)
  }

  /// What a command on it must know of the caller's environment: the terminal's kind.
  public static var environment: [String] {
    guard let kind = getenv("TERM") else { return [] }
    return ["TERM=" + String(cString: kind)]
  }

  /// Every byte passes unchanged from now on, until `restore` or the end of the process.
  func enterRawMode() throws(SystemError) {
    try checked("tcsetattr", "the terminal") { terminal_enter_raw(descriptor) }
  }

  /// Back to the mode before `enterRawMode`.
  static func restore() { terminal_restore() }

  /// Gives the pseudo-terminal of this master the same size; the programs there get SIGWINCH.
  func copySize(toMaster master: Int32) {
    guard let size else { return }
    // It fails when that terminal has just gone; then its end is noticed anyway.
    _ = terminal_set_size(master, size.rows, size.columns)
  }
}
