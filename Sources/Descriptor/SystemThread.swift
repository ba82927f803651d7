import CSystem
import Glibc

/// Plain detached threads of chosen stack size.
package enum SystemThread {
  /// Runs `body` on a new detached thread that has every signal blocked.
  ///
  /// - Parameters:
  ///   - name: for debuggers and /proc; the kernel keeps 15 bytes.
  ///   - stackSize: bytes; rounded up to whole pages, at least 64 KiB.
  package static func start(
    name: StaticString, stackSize: Int, body: @escaping @Sendable () -> Void
  ) throws(SystemError) {
    let page = Int(getpagesize())
    let size = (max(stackSize, 64 * 1024) + page - 1) / page * page
    let main = Unmanaged.passRetained(Main(body: body))
    do throws(SystemError) {
      try checked("pthread_create") {
        name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
          system_start_thread(size, $0, { Main.run($0!) }, main.toOpaque())
        }
      }
    } catch {
      main.release()
      throw error
    }
  }

  private final class Main: Sendable {
    let body: @Sendable () -> Void

    init(body: @escaping @Sendable () -> Void) { self.body = body }

    static func run(_ argument: UnsafeMutableRawPointer) {
      Unmanaged<Main>.fromOpaque(argument).takeRetainedValue().body()
    }
  }
}
