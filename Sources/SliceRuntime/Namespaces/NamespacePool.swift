import CKernel
import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// Namespaces with links that are ready for the next slices.
///
/// A link's name, addresses and MAC address and a user namespace's ids follow from a slice's number. So
/// they are made for numbers that nobody has yet, and a new slice is given one of these numbers. Held by
/// descriptor alone, they go with this process, however it ends.
final class NamespacePool: Sendable {
  private let size: Int
  private let maker: NamespaceMaker
  private let numbers: Numbers
  private let reaper: LinkReaper
  private let ready = Mutex<[Int: SliceNamespaces]>([:])
  /// Whether the thread may hold a number that is not ready yet.
  private let filling = Atomic<Bool>(false)
  /// Slices that are being made.
  private let creations = Atomic<Int>(0)

  /// How long the filling waits for a moment when no slice is being made; then it goes on all the same,
  /// milliseconds.
  private static let patience = 20
  /// After a failure, seconds. Whoever makes a slice meanwhile is told the reason.
  private static let pause: UInt32 = 10

  init(size: Int, maker: NamespaceMaker, numbers: Numbers, reaper: LinkReaper) {
    self.size = size
    self.maker = maker
    self.numbers = numbers
    self.reaper = reaper
  }

  func start() throws(SliceError) {
    guard size > 0 else { return }
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "namespace-pool", stackSize: 256 << 10) { [self] in
        while true {
          fill()
          // Until one is taken, or a number becomes free that was missing.
          numbers.freed.sleep(nanoseconds: .max / 4)
        }
      }
    }
  }

  /// Takes the ready ones of the smallest number; nil: there are none.
  func take() -> (number: Int, namespaces: SliceNamespaces)? {
    let taken = ready.withLock { ready in
      ready.keys.min().map { ($0, ready.removeValue(forKey: $0)!) }
    }
    if taken != nil { numbers.freed.ring() }
    return taken
  }

  /// Gives back what was taken and not used; false: there are enough.
  func put(_ namespaces: SliceNamespaces, for number: Int) -> Bool {
    ready.withLock { ready in
      guard ready.count < size else { return false }
      ready[number] = namespaces
      return true
    }
  }

  /// Keeps the filling from being in the way of `body`.
  func yielding<Value>(_ body: () throws(SliceError) -> Value) throws(SliceError) -> Value {
    creations.add(1, ordering: .relaxed)
    defer { creations.subtract(1, ordering: .relaxed) }
    return try body()
  }

  // MARK: - The thread

  var isFilling: Bool { filling.load(ordering: .sequentiallyConsistent) }

  private func fill() {
    filling.store(true, ordering: .sequentiallyConsistent)
    defer { filling.store(false, ordering: .sequentiallyConsistent) }
    while ready.withLock({ $0.count }) < size, let number = numbers.take() {
      waitForAMoment()
      do throws(SliceError) {
        if put(try maker.make(number, linked: true), for: number) { continue }
        reaper.retire(number)
        reaper.release(number)
      } catch {
        numbers.release(number)
        filling.store(false, ordering: .sequentiallyConsistent)
        return kernel_sleep(Self.pause)
      }
    }
  }

  private func waitForAMoment() {
    for _ in 0..<Self.patience where creations.load(ordering: .relaxed) > 0 { usleep(1000) }
  }
}
