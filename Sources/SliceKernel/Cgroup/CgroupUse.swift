import CKernel
import Descriptor
import Glibc

/// What a cgroup uses and has used, as the kernel counts it (cgroup-v2.rst, psi.rst). Nil where
/// there is no such figure: the controller is missing, or the cgroup is.
public struct CgroupUse: Sendable, Hashable {
  public struct Pressure: Sendable, Hashable {
    /// Percent of the last ten seconds in which some process waited.
    public var recentPercent: Double?
    /// How long some process has waited, in all.
    public var totalMicroseconds: UInt64?
    public init() {}
  }

  public var cpuMicroseconds, throttledMicroseconds: UInt64?
  /// Of the ceiling's periods (100 ms each): those in which it wanted to run, and those of them in
  /// which it was held back.
  public var periods, throttledPeriods: UInt64?
  public var memoryBytes, memoryPeakBytes, swapBytes, outOfMemoryKills: UInt64?
  public var processes: UInt64?
  /// Added up over all devices.
  public var readBytes, writtenBytes, readOperations, writtenOperations: UInt64?
  public var cpuPressure = Pressure()
  public var memoryPressure = Pressure()
  public var ioPressure = Pressure()

  public init() {}

  /// Reads it all from an open directory of a cgroup.
  /// - Parameter controllers: those that the cgroup may have. The files of others are not looked for,
  ///   which would take half as long as reading them.
  public init(cgroup directory: borrowing OwnedFD, controllers: Set<String>) {
    self.init()
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 8192) { buffer in
      let files = CgroupFiles(directory: directory.rawValue, buffer: buffer)
      readProcessor(files)
      if controllers.contains("memory") { readMemory(files) }
      if controllers.contains("pids") { processes = files.figure("pids.current") }
      if controllers.contains("io") { readStorage(files) }
      cpuPressure = Pressure(files, "cpu.pressure")
      memoryPressure = Pressure(files, "memory.pressure")
      ioPressure = Pressure(files, "io.pressure")
    }
  }

  private mutating func readProcessor(_ files: borrowing CgroupFiles) {
    files.words("cpu.stat", separators: " ") { name, value in
      switch name {
      case "usage_usec": cpuMicroseconds = value.figure
      case "nr_periods": periods = value.figure
      case "nr_throttled": throttledPeriods = value.figure
      case "throttled_usec": throttledMicroseconds = value.figure
      default: break
      }
    }
  }

  private mutating func readMemory(_ files: borrowing CgroupFiles) {
    memoryBytes = files.figure("memory.current")
    // One controller: without the first the others are not there either.
    guard memoryBytes != nil else { return }
    memoryPeakBytes = files.figure("memory.peak")  // Linux 5.19
    swapBytes = files.figure("memory.swap.current")
    files.words("memory.events", separators: " ") { name, value in
      if name == "oom_kill" { outOfMemoryKills = value.figure }
    }
  }

  private mutating func readStorage(_ files: borrowing CgroupFiles) {
    var sums: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    let isThere = files.words("io.stat", separators: "=") { name, value in
      let count = value.figure ?? 0
      switch name {
      case "rbytes": sums.0 &+= count
      case "wbytes": sums.1 &+= count
      case "rios": sums.2 &+= count
      case "wios": sums.3 &+= count
      default: break
      }
    }
    guard isThere else { return }
    (readBytes, writtenBytes, readOperations, writtenOperations) = sums
  }
}

extension CgroupUse.Pressure {
  /// `some avg10=0.12 avg60=0.00 avg300=0.00 total=12345`; a line `full …` follows, or not.
  fileprivate init(_ files: borrowing CgroupFiles, _ file: StaticString) {
    self.init()
    files.words(file, separators: "=") { name, value in
      switch name {
      case "avg10" where recentPercent == nil: recentPercent = Double(value.text)
      case "total" where totalMicroseconds == nil: totalMicroseconds = value.figure
      default: break
      }
    }
  }
}

/// The files of one cgroup, read without a memory allocation for each: a thousand cgroups have ten
/// thousand of them.
private struct CgroupFiles: ~Copyable {
  /// Borrowed.
  let directory: Int32
  let buffer: UnsafeMutableBufferPointer<UInt8>

  /// A part of the buffer, until the next file is read.
  struct Word {
    let bytes: UnsafeBufferPointer<UInt8>.SubSequence

    var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Nil for `max`, and for what no UInt64 holds.
    var figure: UInt64? {
      var value: UInt64 = 0
      for byte in bytes {
        guard (0x30...0x39).contains(byte) else { return nil }
        let (tens, isLarge) = value.multipliedReportingOverflow(by: 10)
        let (sum, isLarger) = tens.addingReportingOverflow(UInt64(byte - 0x30))
        if isLarge || isLarger { return nil }
        value = sum
      }
      return bytes.isEmpty ? nil : value
    }

    static func ~= (text: StaticString, word: Word) -> Bool { word == text }
    static func == (word: Word, text: StaticString) -> Bool {
      word.bytes.elementsEqual(
        UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
  }

  /// Nil where the file is absent or, the cgroup having gone meanwhile, can't be read.
  private func content(_ file: StaticString) -> UnsafeBufferPointer<UInt8>? {
    let count = file.utf8Start.withMemoryRebound(
      to: CChar.self, capacity: file.utf8CodeUnitCount + 1
    ) { kernel_read_file_at(directory, $0, buffer.baseAddress, buffer.count) }
    return count < 0 ? nil : UnsafeBufferPointer(rebasing: buffer[..<count])
  }

  /// A file with one figure.
  func figure(_ file: StaticString) -> UInt64? {
    guard let content = content(file) else { return nil }
    return Word(bytes: content.prefix { $0 != UInt8(ascii: "\n") }).figure
  }

  /// Passes pairs of words to `body`: lines of `NAME VALUE`, or words of `NAME=VALUE`.
  /// - Returns: whether the file is there.
  @discardableResult
  func words(
    _ file: StaticString, separators separator: Unicode.Scalar, _ body: (Word, Word) -> Void
  ) -> Bool {
    guard let content = content(file) else { return false }
    let separator = UInt8(ascii: separator)
    var start = content.startIndex
    var name: Word?
    for index in content.indices {
      let byte = content[index]
      if byte == separator, name == nil {
        name = Word(bytes: content[start..<index])
      } else if byte == UInt8(ascii: "\n") || byte == UInt8(ascii: " ") {
        if let name { body(name, Word(bytes: content[start..<index])) }
        name = nil
      } else {
        continue
      }
      start = index + 1
    }
    return true
  }
}
