import CCapability
import SliceModel

/// A set of capabilities (capabilities(7)) as the kernel's mask.
public struct CapabilitySet: Sendable, Hashable {
  public let mask: UInt64

  public static let none = CapabilitySet(mask: 0)

  public init(mask: UInt64) { self.mask = mask }

  /// A name that libcap does not know is an error: it must not vanish from a list.
  public init(names: [String]) throws(SliceError) {
    var mask: UInt64 = 0
    for name in names {
      let number = ccapability_number(name)
      guard number >= 0 else {
        throw SliceError(.failed, "'\(name)' is not a capability that libcap knows")
      }
      mask |= 1 << UInt64(number)
    }
    self.mask = mask
  }
}
