import Descriptor
import Glibc
import SliceKernel
import Synchronization

/// Work that is shared between threads for the time of one call.
enum Parallel {
  /// Parts of `0..<count`, of at least `least` each, at most `limit`.
  static func parts(of count: Int, each least: Int, atMost limit: Int) -> [Range<Int>] {
    let number = max(1, min(limit, count / least))
    return (0..<number).map { count * $0 / number..<count * ($0 + 1) / number }
  }

  /// What `body` makes of each part, in their order: the first on this thread, the others on threads
  /// of their own, or here too where none can be had.
  static func map<Result: Sendable>(
    _ parts: [Range<Int>], _ body: @escaping @Sendable (Range<Int>) -> Result
  ) -> [Result] {
    guard parts.count > 1, let done = try? Pipe.make(label: "threads that have finished") else {
      return parts.map(body)
    }
    let results = Results<Result>(count: parts.count)
    var started = 0
    for index in parts.indices.dropFirst() {
      do throws(SystemError) {
        try SystemThread.start(name: "slice-part", stackSize: 512 << 10) {
          results.set(index, body(parts[index]))
          var byte: UInt8 = 0
          _ = write(done.1.shared.rawValue, &byte, 1)
        }
        started += 1
      } catch {
        results.set(index, body(parts[index]))
      }
    }
    results.set(0, body(parts[0]))
    var byte: UInt8 = 0
    while started > 0 {
      if read(done.0.rawValue, &byte, 1) == 1 { started -= 1 }
    }
    return results.all
  }

  private final class Results<Result: Sendable>: Sendable {
    private let values: Mutex<[Result?]>
    init(count: Int) { values = Mutex([Result?](repeating: nil, count: count)) }
    func set(_ index: Int, _ value: Result) { values.withLock { $0[index] = value } }
    var all: [Result] { values.withLock { $0.compactMap(\.self) } }
  }
}
