import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

/// Reads a slice's log: files `log`, `log.1`… in the format of Kubernetes' CRI
/// (`TIME STREAM F|P TEXT`), written by slice-init. The directory belongs to an id of the slice, so
/// nothing in it is trusted: links are not followed, lines are bounded.
struct LogReader {
  private let directory: String
  /// slice-init splits lines at 4 KiB; what is longer was not written by it.
  private static let longestLine = 64 << 10
  /// At most this much is kept of what is asked for.
  static let mostEntries = 100_000

  init(_ layout: SliceLayout) { directory = layout.log }

  /// The newest `lines` entries (nil: all, negative: none) not older than `since`, and where to go on.
  func read(lines: Int?, since: String?) throws(SliceError) -> (entries: [LogEntry], end: Position)
  {
    let most = min(max(lines ?? Self.mostEntries, 0), Self.mostEntries)
    var entries: [LogEntry] = []
    let position: Position
    do {
      let names = try Files.list(directory).filter { $0.hasPrefix("log.") }
      let rotated = names.compactMap { name in UInt(name.dropFirst(4)).map { (name, $0) } }
      for (name, _) in rotated.sorted(by: { $0.1 > $1.1 }) {
        if let file = try open(name) { collect(file, &entries, since: since, most: most) }
      }
      position = Position()
      if let file = try open("log") {
        position.follow(file)
        entries += position.read(since: since)
      }
    } catch {
      throw SliceError(error).within("read the log")
    }
    return (Array(entries.suffix(most)), position)
  }

  /// What has come since; goes over to a new file when the old one was rotated away.
  func more(_ position: Position) throws(SliceError) -> [LogEntry] {
    do {
      var entries = position.read(since: nil)
      guard let current = try open("log"), !position.isOf(current) else { return entries }
      // The old file is complete: what was written to it before the rotation comes first.
      entries += position.read(since: nil)
      position.follow(current)
      return entries + position.read(since: nil)
    } catch {
      throw SliceError(error).within("read the log")
    }
  }

  private func open(_ name: String) throws(SystemError) -> SharedFD? {
    do {
      let file = try Files.open(directory + "/" + name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      var info = stat()
      let number = file.rawValue
      try checked("fstat", name) { fstat(number, &info) }
      guard info.st_mode & S_IFMT == S_IFREG else { return nil }
      return SharedFD(file, label: name)
    } catch {
      // Rotated away between the listing and now, or a link that slice-init did not make.
      guard error.code == ENOENT || error.code == ELOOP else { throw error }
      return nil
    }
  }

  private func collect(
    _ file: SharedFD, _ entries: inout [LogEntry], since: String?, most: Int
  ) {
    let position = Position()
    position.follow(file)
    entries += position.read(since: since)
    if entries.count > most { entries.removeFirst(entries.count - most) }
  }

  /// How far a log has been read.
  final class Position {
    private var file: SharedFD?
    private var pending: [UInt8] = []

    func follow(_ file: SharedFD) {
      self.file = file
      pending = []
    }

    func isOf(_ other: SharedFD) -> Bool {
      var mine = stat()
      var theirs = stat()
      guard let file, fstat(file.rawValue, &mine) == 0, fstat(other.rawValue, &theirs) == 0 else {
        return false
      }
      return mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev
    }

    /// The complete entries up to the end of the file.
    func read(since: String?) -> [LogEntry] {
      guard let file else { return [] }
      var entries: [LogEntry] = []
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = Glibc.read(file.rawValue, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return entries }
        pending += buffer[..<count]
        take(&entries, since: since)
        if pending.count > LogReader.longestLine { pending = [] }
        if entries.count > 2 * LogReader.mostEntries {
          entries.removeFirst(entries.count - LogReader.mostEntries)
        }
      }
    }

    private func take(_ entries: inout [LogEntry], since: String?) {
      var start = 0
      while let newline = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
        if let entry = LogEntry(record: pending[start..<newline]),
          since.map({ entry.time >= $0 }) ?? true
        {
          entries.append(entry)
        }
        start = newline + 1
      }
      pending.removeSubrange(..<start)
    }
  }
}

extension LogEntry {
  /// Parses one record; nil for what is none.
  init?(record: ArraySlice<UInt8>) {
    let parts = record.split(
      separator: UInt8(ascii: " "), maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0].count == 30, parts[2].count == 1,
      let stream = Stream(rawValue: String(decoding: parts[1], as: UTF8.self))
    else { return nil }
    self.init(
      time: String(decoding: parts[0], as: UTF8.self), stream: stream,
      text: String(decoding: parts[3], as: UTF8.self),
      partial: parts[2].first == UInt8(ascii: "P"))
  }
}
