import CKernel
import Descriptor
import Glibc
import Synchronization

/// An end of a pipe that is shared with a launch and must be closable before its last reference
/// goes, so that the reader sees the end.
public final class ClosableFD: Sendable {
  private let held: Mutex<SharedFD?>
  public init(_ descriptor: SharedFD) { held = Mutex(descriptor) }
  /// Valid until `close`.
  public var shared: SharedFD { held.withLock { $0! } }
  public func close() { held.withLock { $0 = nil } }
}

public enum Pipe {
  public static func make(label: String) throws(SystemError) -> (SharedFD, ClosableFD) {
    var readEnd: Int32 = -1
    var writeEnd: Int32 = -1
    try checked("pipe2", label) { kernel_pipe(&readEnd, &writeEnd) }
    return (
      SharedFD(OwnedFD(adopting: readEnd), label: label + " (read end)"),
      ClosableFD(SharedFD(OwnedFD(adopting: writeEnd), label: label + " (write end)"))
    )
  }
}

/// Lines from a descriptor, each at most 1 MiB; a longer one is cut there.
public final class LineReader {
  private let descriptor: SharedFD
  private var buffer: [UInt8] = []
  private var ended = false

  public init(_ descriptor: SharedFD) { self.descriptor = descriptor }

  /// Whether `next` would not wait, once `milliseconds` have passed at the latest.
  public func isReady(within milliseconds: Int32) -> Bool {
    if ended || buffer.contains(UInt8(ascii: "\n")) { return true }
    var entry = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// The next line without its newline; nil at the end or when reading fails.
  public func next() -> [UInt8]? {
    while true {
      if let newline = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        let line = Array(buffer[..<newline])
        buffer.removeSubrange(...newline)
        return line
      }
      if ended || buffer.count > 1 << 20 {
        defer { buffer = [] }
        return buffer.isEmpty ? nil : buffer
      }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(descriptor.rawValue, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { ended = true } else { buffer += chunk[..<count] }
    }
  }
}
