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
  /// slice-init keeps a few files; more than this it did not write.
  private static let mostFiles = 100

  init(_ layout: SliceLayout) { directory = layout.log }

  /// Gives the newest `lines` entries (nil: all; negative: none) not older than `since` to `send`, a
  /// few at a time, so that a long log is never in memory as a whole. Returns where to go on.
  func read(
    lines: Int?, since: String?, send: ([LogEntry]) throws -> Void
  ) throws -> Position {
    let files = try reporting("read the log") { () throws(SystemError) in try openAll() }
    var skip = 0
    if let lines {
      var total = 0
      for file in files { Position(file).read(since: since) { total += $0.count } }
      skip = max(0, total - max(0, lines))
    }
    let position = Position()
    for file in files {
      position.follow(file)
      try position.read(since: since) { entries in
        let left = Array(entries.dropFirst(skip))
        skip -= entries.count - left.count
        if !left.isEmpty { try send(left) }
      }
    }
    return position
  }

  /// From the oldest to the one that is written to.
  private func openAll() throws(SystemError) -> [SharedFD] {
    let rotated = try Files.list(directory).compactMap { name in
      name.hasPrefix("log.") ? UInt(name.dropFirst(4)).map { (name, $0) } : nil
    }
    let names = rotated.sorted { $0.1 < $1.1 }.prefix(Self.mostFiles).reversed().map(\.0) + ["log"]
    var files: [SharedFD] = []
    for name in names { if let file = try open(name) { files.append(file) } }
    return files
  }

  /// Gives what has come since to `send`; goes over to a new file when the old one was rotated away.
  func more(_ position: Position, send: ([LogEntry]) throws -> Void) throws {
    try position.read(since: nil, send)
    let file = try reporting("read the log") { () throws(SystemError) in try open("log") }
    guard let file, !position.isOf(file) else { return }
    // The old file is complete: what was written to it before the rotation comes first.
    try position.read(since: nil, send)
    position.follow(file)
    try position.read(since: nil, send)
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

  /// How far a log has been read.
  final class Position {
    private var file: SharedFD?
    private var pending: [UInt8] = []

    init(_ file: SharedFD? = nil) { self.file = file }

    /// Goes over to `file`, from its beginning.
    func follow(_ file: SharedFD) {
      self.file = file
      pending = []
      lseek(file.rawValue, 0, SEEK_SET)
    }

    func isOf(_ other: SharedFD) -> Bool {
      var mine = stat()
      var theirs = stat()
      guard let file, fstat(file.rawValue, &mine) == 0, fstat(other.rawValue, &theirs) == 0 else {
        return false
      }
      return mine.st_ino == theirs.st_ino && mine.st_dev == theirs.st_dev
    }

    /// Gives the complete entries up to the end of the file to `send`, one block's at a time.
    func read(since: String?, _ send: ([LogEntry]) throws -> Void) rethrows {
      guard let file else { return }
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while true {
        let count = Glibc.read(file.rawValue, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return }
        pending += buffer[..<count]
        var entries: [LogEntry] = []
        take(&entries, since: since)
        if pending.count > LogReader.longestLine { pending = [] }
        if !entries.isEmpty { try send(entries) }
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
