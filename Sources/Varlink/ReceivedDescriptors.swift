import CSystem
import Descriptor
import Glibc
import Synchronization

/// The file descriptors that came beside one message, in the order in which they were sent.
/// Whatever nobody takes is closed with the message.
public final class ReceivedDescriptors: Sendable {
  /// The most that may travel beside one message.
  public static let maximum = Int(SYSTEM_DESCRIPTORS_MAX)

  private let slots = Mutex<[Int32?]>([])

  init() {}

  deinit {
    for descriptor in slots.withLock({ $0 }) { if let descriptor { close(descriptor) } }
  }

  /// How many came, taken or not.
  public var count: Int { slots.withLock { $0.count } }

  /// Hands over the descriptor at `index`; nil when there is none or it was taken before.
  public func take(_ index: Int) -> OwnedFD? {
    let descriptor: Int32? = slots.withLock { slots in
      guard slots.indices.contains(index) else { return nil }
      defer { slots[index] = nil }
      return slots[index]
    }
    guard let descriptor else { return nil }
    return OwnedFD(adopting: descriptor)
  }

  /// Takes over what the kernel has just installed.
  func adopt(_ descriptors: some Sequence<Int32>) {
    slots.withLock { $0.append(contentsOf: descriptors.map { $0 }) }
  }
}
