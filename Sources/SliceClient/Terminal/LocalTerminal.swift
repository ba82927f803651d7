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

  /// Every byte passes unchanged from now on, until `restore` or the end of the process.
  func enterRawMode() throws(SystemError) {
    try checked("tcsetattr", "the terminal") { terminal_enter_raw(descriptor) }
  }

  /// Back to the mode before `enterRawMode`.
  static func restore() { terminal_restore() }

  /// Tells the other end of a pseudo-terminal its size; the programs there get SIGWINCH.
  static func setSize(_ size: TerminalSize, ofMaster master: Int32) {
    // It fails when the terminal has just gone; then its end is noticed anyway.
    _ = terminal_set_size(master, size.rows, size.columns)
  }
}
