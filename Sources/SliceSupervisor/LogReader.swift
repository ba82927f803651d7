import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

/// Reads a slice's log from a place in it onwards, piece by piece: files `log`, `log.1`… (the older
/// the higher) in the format of Kubernetes' CRI (`TIME STREAM F|P TEXT`), written by slice-init.
///
/// However long the log and however fast it grows, only a piece is in memory. The directory belongs
/// to an id of the slice, so nothing in it is trusted: links are not followed, lines are bounded.
final class LogReader {
  private let directory: String
  private let since: String?
  /// What is being read, and the newer files after it. One that has a newer one is complete.
  private var file: LogFile?
  private var newer: [LogFile] = []
  private var pending: [UInt8] = []
  private var linesToSkip = 0

  /// slice-init splits lines at 4 KiB; what is longer was not written by it.
  private static let longestLine = 64 << 10
  /// slice-init keeps fewer files.
  private static let mostFiles = 64

  /// - Parameters:
  ///   - lines: starts so many lines before the end; nil: at the oldest.
  ///   - since: leaves out what is older.
  init(_ layout: SliceLayout, lines: Int?, since: String?) throws(SliceError) {
    directory = layout.log
    self.since = since
    newer = try files(after: nil)
    if let lines { try skip(toLast: lines) }
    file = newer.isEmpty ? nil : newer.removeFirst()
  }

  /// The next entries, `most` or somewhat more; none at the end of what there is so far. Goes over
  /// to a new file when the present one was rotated away.
  func next(_ most: Int) throws(SliceError) -> [LogEntry] {
    var entries: [LogEntry] = []
    while true {
      // A file that is known to be complete is read to its end before the next one.
      let isComplete = !newer.isEmpty
      while entries.count < most, try readPiece(into: &entries) {}
      if entries.count >= most { return entries }
      if isComplete {
        file = newer.removeFirst()
        pending = []
      } else {
        newer = try files(after: file)
        if newer.isEmpty { return entries }
        if file == nil { file = newer.removeFirst() }
      }
    }
  }

  // MARK: - Files

  /// The files that are newer than one, oldest first; all when it is nil or not there any more.
  ///
  /// They are opened from the newest on: a rotation meanwhile shows a file twice and never hides
  /// one.
  private func files(after known: LogFile?) throws(SliceError) -> [LogFile] {
    try reporting("read the log") { () throws(SystemError) in
      let rotated = try Files.list(directory).compactMap { name in
        name.hasPrefix("log.") ? UInt(name.dropFirst(4)) : nil
      }
      var found: [LogFile] = []
      for name in ["log"] + rotated.sorted().prefix(Self.mostFiles).map({ "log.\($0)" }) {
        guard let file = try LogFile(directory: directory, name: name) else { continue }
        if let known, file.isSame(as: known) { break }
        if !found.contains(where: file.isSame) { found.append(file) }
      }
      return found.reversed()
    }
  }

  /// Leaves out the files and the lines before the last `count`.
  private func skip(toLast count: Int) throws(SliceError) {
    try reporting("read the log") { () throws(SystemError) in
      var lines = 0
      for (index, file) in newer.enumerated().reversed() {
        lines += try file.countLines()
        guard lines >= count else { continue }
        newer.removeFirst(index)
        linesToSkip = lines - count
        return
      }
    }
  }

  // MARK: - Lines

  /// Reads on in the present file; false at its end.
  private func readPiece(into entries: inout [LogEntry]) throws(SliceError) -> Bool {
    guard let file else { return false }
    let piece = try reporting("read the log") { () throws(SystemError) in try file.read() }
    guard !piece.isEmpty else { return false }
    pending += piece
    var start = pending.startIndex
    while let newline = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
      take(pending[start..<newline], into: &entries)
      start = newline + 1
    }
    pending.removeSubrange(..<start)
    if pending.count > Self.longestLine { pending = [] }
    return true
  }

  private func take(_ line: ArraySlice<UInt8>, into entries: inout [LogEntry]) {
    if linesToSkip > 0 {
      linesToSkip -= 1
    } else if let entry = LogEntry(record: line), since.map({ entry.time >= $0 }) ?? true {
      entries.append(entry)
    }
  }
}

/// One file of a log, read from its beginning.
private final class LogFile {
  private let descriptor: OwnedFD
  private let name: String
  private let identity: (device: UInt, inode: UInt)
  /// Little enough that the entries of one piece are no burden.
  private static let pieceSize = 16 << 10

  /// Nil for what has been rotated away, and for a link or a directory, which slice-init did not
  /// make.
  init?(directory: String, name: String) throws(SystemError) {
    do throws(SystemError) {
      descriptor = try Files.open(directory + "/" + name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    } catch {
      guard error.code == ENOENT || error.code == ELOOP else { throw error }
      return nil
    }
    var info = stat()
    let number = descriptor.rawValue
    try checked("fstat", name) { fstat(number, &info) }
    guard info.st_mode & S_IFMT == S_IFREG else { return nil }
    self.name = name
    identity = (UInt(info.st_dev), UInt(info.st_ino))
  }

  func isSame(as other: LogFile) -> Bool { identity == other.identity }

  /// The next bytes; none at the end.
  func read() throws(SystemError) -> [UInt8] {
    let number = descriptor.rawValue
    var piece = [UInt8](repeating: 0, count: Self.pieceSize)
    let count = try retryingInterrupts("read", name) { Glibc.read(number, &piece, piece.count) }
    piece.removeLast(piece.count - Int(count))
    return piece
  }

  /// How many there are by now, wherever it was read to.
  func countLines() throws(SystemError) -> Int {
    let number = descriptor.rawValue
    var piece = [UInt8](repeating: 0, count: 256 << 10)
    var lines = 0
    var offset = 0
    while true {
      let count = try retryingInterrupts("pread", name) {
        pread(number, &piece, piece.count, offset)
      }
      if count == 0 { return lines }
      offset += Int(count)
      lines += piece[..<Int(count)].count { $0 == UInt8(ascii: "\n") }
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
