import Glibc
import SliceKernel

extension SliceEnvironment {
  /// How often, and how long each time (microseconds), a creation waits for a number whose link is going
  /// or being made.
  private static let tries = 1000
  private static let pause: UInt32 = 5_000

  /// A number for a new slice, with namespaces and a link if they are there; nil: every one is in use.
  ///
  /// - Parameter linked: whether it wants a link at once.
  func claimNumber(linked: Bool) -> (number: Int, namespaces: SliceNamespaces?)? {
    for _ in 0..<Self.tries {
      // Asked first: what is on its way now may have arrived when it is looked for.
      let isMoreComing = reaper.isReleasing || pool.isFilling
      if linked, let ready = pool.take() { return ready }
      if let number = numbers.take() { return (number, nil) }
      // The last free numbers may be those that are kept ready.
      if let ready = pool.take() {
        reaper.retire(ready.number)
        return (ready.number, nil)
      }
      guard isMoreComing else { return nil }
      usleep(Self.pause)
    }
    return nil
  }

  /// Frees a number that no slice has any more; namespaces that were not used serve the next one.
  func release(_ number: Int, _ namespaces: SliceNamespaces?) {
    if let namespaces {
      if pool.put(namespaces, for: number) { return }
      reaper.retire(number)
    }
    reaper.release(number)
  }
}
