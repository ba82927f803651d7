import Descriptor
import Glibc
import SliceClient
import SliceModel

// What options mean beyond plain words and numbers.

extension TimeSpan {
  /// - Parameter option: `30s`, `5m`; a number alone is seconds.
  init(option: String) throws(SliceError) {
    guard let span = TimeSpan(option) else {
      throw SliceError(
        .usage, "'\(option.escapedForTerminal)' is not a time",
        hint: "write 500ms, 30s, 5m, 12h or 7d")
    }
    self = span
  }
}

extension Timestamp {
  /// - Parameter ago: a length of time before `now`, or a moment as RFC 3339 text.
  init(ago text: String, before now: Timestamp) throws(SliceError) {
    if let moment = Timestamp(text) {
      self = moment
    } else if let span = TimeSpan(text) {
      self.init(unixSeconds: now.unixSeconds - Double(span.milliseconds) / 1000)
    } else {
      throw SliceError(
        .usage, "'\(text.escapedForTerminal)' is not a time",
        hint: "write 10m, 12h or 7d, or a moment such as 2026-03-01T06:00:00Z")
    }
  }
}

/// Files that the caller names.
enum TextFile {
  /// More is not read: SliceFile takes no larger text.
  private static let maximumSize = (1 << 20) + 1

  /// - Parameter path: `-` means standard input.
  static func read(_ path: String) throws(SliceError) -> [UInt8] {
    do throws(SystemError) {
      if path == "-" { return try readAll(STDIN_FILENO) }
      let file = OwnedFD(
        adopting: try checked("open") { open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) })
      return try readAll(file.rawValue)
    } catch {
      throw SliceError(.failed, "cannot read '\(path.escapedForTerminal)': \(error.explanation)")
    }
  }

  private static func readAll(_ descriptor: Int32) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 64 << 10)
    while bytes.count < maximumSize {
      let count = try retryingInterrupts("read") { Glibc.read(descriptor, &part, part.count) }
      if count == 0 { break }
      bytes += part[..<count]
    }
    return bytes
  }
}
