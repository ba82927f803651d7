import Glibc
import SliceClient

/// What standard output is, and when.
struct Screen {
  let isTerminal: Bool
  /// Cells in a line; nil where lines may have any length.
  let width: Int?
  let now: Timestamp

  static var standardOutput: Screen {
    let terminal = LocalTerminal(STDOUT_FILENO)
    return Screen(
      isTerminal: terminal != nil, width: terminal?.size.map { Int($0.columns) },
      now: Timestamp.now)
  }

  /// How far off an RFC 3339 text is; the text itself when it is none, `-` for nil.
  func distance(_ time: String?) -> String {
    guard let time else { return "-" }
    return Timestamp(time)?.distance(from: now) ?? time
  }

  /// How long ago an RFC 3339 text was; the text itself when it is none, `-` for nil.
  func age(_ time: String?) -> String {
    guard let time else { return "-" }
    return Timestamp(time)?.age(at: now) ?? time
  }
}
