import SliceModel

/// One line on a terminal that is written over as work goes on.
public struct ProgressLine: Sendable {
  /// What has been done since the start.
  public struct Progress: Sendable, Hashable {
    public var readBytes: UInt64
    /// Nil where the source's size is not known.
    public var totalBytes: UInt64?
    public var entries: Int
    public init(readBytes: UInt64 = 0, totalBytes: UInt64? = nil, entries: Int = 0) {
      self.readBytes = readBytes
      self.totalBytes = totalBytes
      self.entries = entries
    }
  }

  private let label: String
  private let width: Int
  private var lastShown: Double?

  /// Seconds between two lines.
  public static let interval = 0.1

  /// - Parameter width: cells of the terminal; one stays free, so that the cursor doesn't wrap.
  public init(label: String, width: Int) {
    self.label = label
    self.width = width
  }

  /// Back to the line's start and erase it (ECMA-48: CR, EL).
  public static let clear = "\r\u{1B}[K"

  /// The next line to write, or nil while it is too early for one.
  /// - Parameter elapsed: seconds since the start.
  public mutating func update(_ progress: Progress, elapsed: Double) -> String? {
    if let lastShown, elapsed - lastShown < Self.interval { return nil }
    lastShown = elapsed
    return Self.clear + text(progress, elapsed: elapsed)
  }

  func text(_ progress: Progress, elapsed: Double) -> String {
    var parts = [Readable.bytes(Int64(clamping: progress.readBytes))]
    if let total = progress.totalBytes {
      parts[0] += " of \(Readable.bytes(Int64(clamping: total)))"
    }
    parts.append("\(progress.entries) entries")
    if elapsed > 0 {
      parts.append(Readable.bytes(Int64(Double(progress.readBytes) / elapsed)) + "/s")
    }
    let numbers = parts.joined(separator: ", ")
    let room = width - 1 - label.count - numbers.count - 5
    guard room >= 5, let total = progress.totalBytes, total > 0 else {
      return String("\(label): \(numbers)".prefix(max(0, width - 1)))
    }
    return
      "\(label) [\(bar(min(progress.readBytes, total), of: total, cells: min(room, 30)))] \(numbers)"
  }

  private func bar(_ done: UInt64, of total: UInt64, cells: Int) -> String {
    let filled = Int(Double(done) / Double(total) * Double(cells))
    return String(repeating: "#", count: filled) + String(repeating: "-", count: cells - filled)
  }
}
