import Descriptor

/// A descriptor that several values refer to: launch steps, caches, tables. Closed with the last
/// reference. The label says in plans and errors what it is.
public final class SharedFD: Sendable {
  public let label: String
  private let owned: OwnedFD

  public init(_ owned: consuming OwnedFD, label: String) {
    self.owned = owned
    self.label = label
  }

  /// Borrowed: valid while this object lives.
  public var rawValue: Int32 { owned.rawValue }
}

extension SharedFD: CustomStringConvertible {
  public var description: String { label }
}
