import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// The audit's files: `flows`, which is written to, and earlier ones, `flows.SECONDS`, by when they
/// were closed. Together no larger and no older than the policy says.
struct FlowFiles: Sendable {
  private let directory: String
  private let terms: FlowTerms
  private let current: SharedFD
  private var size: UInt64
  private var began: UInt64

  /// In how many files there is what is kept: the oldest one goes as a whole.
  private static let parts: UInt64 = 16
  private static let day: UInt64 = 86_400

  init(directory: String, terms: FlowTerms) throws(SystemError) {
    self.directory = directory
    self.terms = terms
    try Files.makeDirectory(directory, mode: 0o700, existingIsFine: true)
    (current, size) = try Self.open(directory + "/flows")
    began = Clock.now / 1_000_000_000
    try prune()
  }

  /// Opens the file for appending, and cuts off half a line that a crash has left.
  private static func open(_ path: String) throws(SystemError) -> (SharedFD, UInt64) {
    let file = try Files.open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600)
    let number = file.rawValue
    var end = try checked("lseek", path) { lseek(number, 0, SEEK_END) }
    var block = [UInt8](repeating: 0, count: 4096)
    var complete: off_t = 0
    var place = end
    while place > 0, complete == 0 {
      let start = max(0, place - off_t(block.count))
      let count = try checked("pread", path) {
        pread(number, &block, Int(place - start), start)
      }
      if let newline = block[..<count].lastIndex(of: UInt8(ascii: "\n")) {
        complete = start + off_t(newline) + 1
      }
      place = start
    }
    if complete < end {
      try checked("ftruncate", path) { ftruncate(number, complete) }
      end = complete
    }
    return (SharedFD(file, label: path), UInt64(end))
  }

  /// Writes lines, all or none of them.
  mutating func append(_ lines: [UInt8]) throws(SystemError) {
    do throws(SystemError) {
      try Files.writeAll(lines, to: current.rawValue, path: directory)
      size += UInt64(lines.count)
    } catch {
      // What is left of them, should this fail, is half a line, which nobody reads.
      ftruncate(current.rawValue, off_t(size))
      throw error
    }
  }

  /// Goes over to a new file where it is time to, or where so many bytes more would be too much.
  mutating func rotate(before more: Int) throws(SystemError) {
    let now = Clock.now / 1_000_000_000
    let isFull = size + UInt64(more) > terms.bytes / Self.parts
    guard size > 0, isFull || now >= began + Self.day else { return }
    // They stay in order also where several are closed in one second, or the clock was set back.
    let name = max(now, try closed().last.map { $0.seconds + 1 } ?? 0)
    let path = directory + "/flows"
    try checked("rename", path) { rename(path, "\(directory)/flows.\(name)") }
    self = try FlowFiles(directory: directory, terms: terms)
  }

  /// Removes what is more than may be kept.
  private func prune() throws(SystemError) {
    let oldest = Clock.now / 1_000_000_000 - min(terms.days * Self.day, Clock.now / 1_000_000_000)
    var total = terms.bytes / Self.parts
    for (name, closed) in try closed().reversed() {
      let path = "\(directory)/\(name)"
      total += Self.size(path)
      if closed < oldest || total > terms.bytes { try Files.remove(path) }
    }
  }

  private static func size(_ path: String) -> UInt64 {
    var info = stat()
    return stat(path, &info) == 0 ? UInt64(info.st_size) : 0
  }

  /// Earlier files with when they were closed, the oldest first.
  private func closed() throws(SystemError) -> [(name: String, seconds: UInt64)] {
    try Files.list(directory).compactMap { name in
      name.hasPrefix("flows.") ? UInt64(name.dropFirst(6)).map { (name, $0) } : nil
    }.sorted { $0.seconds < $1.seconds }
  }

  /// Opens what holds records from `since` (milliseconds since 1970) on, the oldest first. What is
  /// written later is not in it.
  func open(since: UInt64?) throws(SystemError) -> [FlowReader] {
    var readers: [FlowReader] = []
    for (name, seconds) in try closed() where seconds >= (since ?? 0) / 1000 {
      // It may just have been removed, for its age.
      let path = "\(directory)/\(name)"
      if let file = try? Files.open(path, O_RDONLY | O_NOFOLLOW) {
        readers.append(FlowReader(SharedFD(file, label: path), size: Self.size(path)))
      }
    }
    let path = directory + "/flows"
    let file = try Files.open(path, O_RDONLY | O_NOFOLLOW)
    return readers + [FlowReader(SharedFD(file, label: path), size: size)]
  }
}

/// Reads one file up to where it ended when it was opened.
struct FlowReader {
  private let file: SharedFD
  private let size: UInt64

  fileprivate init(_ file: SharedFD, size: UInt64) {
    self.file = file
    self.size = size
  }

  /// Gives the records to `body`, a block's at a time. What is no record is left out.
  func read(_ body: ([FlowRecord]) throws -> Void) throws {
    var buffer = [UInt8](repeating: 0, count: 256 << 10)
    var held = 0
    var place: UInt64 = 0
    while place < size {
      let wanted = min(buffer.count - held, Int(size - place))
      let count = try retryingInterrupts("read", file.label) {
        buffer.withUnsafeMutableBytes {
          pread(file.rawValue, $0.baseAddress! + held, wanted, off_t(place))
        }
      }
      guard count > 0 else { return }
      place += UInt64(count)
      held += count
      var records: [FlowRecord] = []
      var start = 0
      while let newline = buffer[start..<held].firstIndex(of: UInt8(ascii: "\n")) {
        if let record = FlowRecord(line: buffer[start..<newline]) { records.append(record) }
        start = newline + 1
      }
      // A line that fills the buffer is none of ours.
      buffer.replaceSubrange(0..<held - start, with: Array(buffer[start..<held]))
      held = held - start == buffer.count ? 0 : held - start
      if !records.isEmpty { try body(records) }
    }
  }
}
