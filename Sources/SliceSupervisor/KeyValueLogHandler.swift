import Glibc
import Logging
import SliceModel
import SliceRuntime

/// One line an event, `key=value`, on standard error, for people and for log collectors alike.
public struct KeyValueLogHandler: LogHandler {
  public var metadata: Logger.Metadata = [:]
  public var logLevel = Logger.Level.info

  public init() {}

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var line =
      "time=\(Clock.text(Clock.now)) level=\(event.level) event=\(Self.quoted("\(event.message)"))"
    let all = metadata.merging(event.metadata ?? [:]) { _, new in new }
    for (key, value) in all.sorted(by: { $0.key < $1.key }) {
      line += " \(key)=\(Self.quoted("\(value)"))"
    }
    line += "\n"
    // One write, so that lines of several threads do not mix. A log that cannot be written is lost.
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
  }

  /// Values may come from slices and their owners: control characters are shown, never sent.
  private static func quoted(_ text: String) -> String {
    let escaped = text.escapedForTerminal
    guard escaped.contains(where: { $0 == " " || $0 == "\"" || $0 == "=" }) || escaped.isEmpty
    else {
      return escaped
    }
    return "\"" + escaped.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
