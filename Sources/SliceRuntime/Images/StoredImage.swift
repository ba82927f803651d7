import SliceModel

/// An image that was imported: its metadata, kept beside its tree.
public struct StoredImage: Sendable, Hashable, Codable {
  public var digest: String
  /// All names that mean it; the store keeps each unique.
  public var names: [String]
  public var entries: Int
  public var bytes: UInt64
  /// Nanoseconds since 1970, UTC.
  public var importedAt: UInt64
  public var owner: UInt32
  public var ownerName: String
  public var defaults: ImageDefaults
}

/// What an image says of how to run it (OCI image configuration); all empty for a plain tree.
public struct ImageDefaults: Sendable, Hashable, Codable {
  public var command: [String] = []
  public var environment: [String] = []
  public var user: String?
  public var workdir: String?
  public init() {}
}
