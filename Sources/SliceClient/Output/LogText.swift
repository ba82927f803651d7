import SliceInterface
import SliceModel

/// Log entries as text for one of the caller's outputs.
public enum LogText {
  /// The entry's bytes as the service wrote them, or with everything that could drive a terminal
  /// shown as an escape; tabs stay. A line that goes on in the next entry has no line end.
  public static func text(of entry: LogEntry, forTerminal: Bool) -> String {
    let text = forTerminal ? escaped(entry.text) : entry.text
    return entry.partial ? text : text + "\n"
  }

  private static func escaped(_ text: String) -> String {
    text.split(separator: "\t", omittingEmptySubsequences: false)
      .map { String($0).escapedForTerminal }
      .joined(separator: "\t")
  }
}
