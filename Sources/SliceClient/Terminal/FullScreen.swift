import CTerminal
import Descriptor
import Glibc
import SliceInterface

/// The whole terminal as a picture: the alternate screen, without a cursor, keys unechoed. Whatever
/// ends the process, the terminal is as it was before.
public struct FullScreen: Sendable {
  private let terminal: LocalTerminal
  private let hasColour: Bool

  /// Nil unless both standard input and output are a terminal.
  public init?() {
    guard let terminal = LocalTerminal(STDIN_FILENO), LocalTerminal(STDOUT_FILENO) != nil else {
      return nil
    }
    self.terminal = terminal
    // Goes back with the mode, also from a signal handler: main screen, cursor shown.
    terminal_set_farewell(STDOUT_FILENO, "\u{1B}[?25h\u{1B}[?1049l")
    // https://no-color.org: set and not empty
    hasColour = getenv("NO_COLOR").map { $0.pointee == 0 } ?? true
  }

  public var size: TerminalSize { terminal.size ?? TerminalSize(rows: 24, columns: 80) }

  public func enter() throws(SystemError) {
    try terminal.enterRawMode()
    write("\u{1B}[?1049h\u{1B}[?25l")
  }

  public func leave() { LocalTerminal.restore() }

  /// Draws over what is there, line by line, so that nothing flickers.
  public func draw(_ lines: [TopModel.Line]) {
    var text = "\u{1B}[H"
    for (index, line) in lines.enumerated() {
      let style = style(line.style)
      text += style + line.text + (style.isEmpty ? "" : "\u{1B}[m") + "\u{1B}[K"
      if index < lines.count - 1 { text += "\r\n" }
    }
    write(text + "\u{1B}[J")
  }

  private func style(_ style: TopModel.Line.Style) -> String {
    switch style {
    case .plain: ""
    case .titles: "\u{1B}[7m"
    case .hint: hasColour ? "\u{1B}[2m" : ""
    case .alert: hasColour ? "\u{1B}[1;31m" : "\u{1B}[1m"
    }
  }

  /// A terminal that has gone is noticed by reading from it.
  private func write(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0 && errno != EINTR { return }
      bytes = bytes.dropFirst(max(0, count))
    }
  }
}
