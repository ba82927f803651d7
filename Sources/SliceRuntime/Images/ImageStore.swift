import Descriptor
import FoundationEssentials
import Glibc
import SliceKernel
import SliceModel
import Synchronization

/// The images of a node, each stored once under its digest and shared by all slices.
///
///     images/sha256-<hex>/image.json   metadata
///     images/sha256-<hex>/tree/        content, owned by ids 0-65535, never written again
///     images/host-<hash>/tree/         what `host` and `minimal` are made of
///     images/.import-…                 an import under way; removed at start
public final class ImageStore: Sendable {
  let layout: NodeLayout
  private let images = Mutex<[String: StoredImage]>([:])
  private let builtIn: BuiltInImages

  /// Reads what is there and removes what an interrupted import left. `keeping`: directories of
  /// built-in trees that slices still use.
  public init(layout: NodeLayout, keeping: Set<String>) throws(SliceError) {
    self.layout = layout
    do {
      try Files.makeDirectory(layout.images, mode: 0o700, existingIsFine: true)
      builtIn = try BuiltInImages(layout: layout)
      let current: Set = [builtIn.host, builtIn.minimal]
      var found: [String: StoredImage] = [:]
      for name in try Files.list(layout.images) {
        let path = layout.images + "/" + name
        if name.hasPrefix("sha256-") {
          if let image = Self.read(path), Self.directory(of: image.digest) == name {
            found[image.digest] = image
          }
        } else if !current.contains(name), !keeping.contains(name) {
          try Self.removeLeftover(path)
        }
      }
      images.withLock { $0 = found }
    } catch let error as SliceError {
      throw error
    } catch {
      throw SliceError(.failed, "open the image store: \(error)")
    }
  }

  /// An unpacker whose supervisor was killed notices when it next reports, several times a second;
  /// until then it fills what is being removed.
  private static func removeLeftover(_ path: String) throws(SystemError) {
    for _ in 0..<100 {
      do throws(SystemError) {
        return try Files.removeTree(path)
      } catch {
        guard error.code == ENOTEMPTY else { throw error }
        usleep(50_000)
      }
    }
    try Files.removeTree(path)
  }

  public static let hostName = "host"
  public static let minimalName = "minimal"

  static func directory(of digest: String) -> String {
    digest.replacing(":", with: "-")
  }

  public func all() -> [StoredImage] {
    images.withLock {
      $0.values.sorted { ($0.names.first ?? $0.digest) < ($1.names.first ?? $1.digest) }
    }
  }

  /// The stored image that a name or digest means.
  public func stored(_ reference: String) -> StoredImage? {
    images.withLock { table in
      table[reference] ?? table.values.first { $0.names.contains(reference) }
    }
  }

  /// What a slice is to be built from.
  public func resolve(
    _ reference: String
  ) throws(SliceError) -> (identity: ImageIdentity, defaults: ImageDefaults) {
    switch reference {
    case Self.hostName:
      return (
        ImageIdentity(
          name: reference, digest: nil, directory: builtIn.host, usesHostPrograms: true),
        ImageDefaults()
      )
    case Self.minimalName:
      return (
        ImageIdentity(
          name: reference, digest: nil, directory: builtIn.minimal, usesHostPrograms: false),
        ImageDefaults()
      )
    default:
      guard let image = stored(reference) else {
        throw SliceError(
          .failed, "there is no image '\(reference.escapedForTerminal)'",
          hint: "'slicectl image list' shows the images, 'slicectl image import' adds one")
      }
      return (
        ImageIdentity(
          name: reference, digest: image.digest, directory: Self.directory(of: image.digest),
          usesHostPrograms: false),
        image.defaults
      )
    }
  }

  /// What the image of an existing slice says of how to run it.
  func defaults(of identity: ImageIdentity) -> ImageDefaults {
    identity.digest.flatMap(stored)?.defaults ?? ImageDefaults()
  }

  public func tree(_ identity: ImageIdentity) -> String {
    layout.images + "/" + identity.directory + "/tree"
  }

  /// Takes a tree that an import made in `staging`, under its digest and `name`. The tree of a
  /// digest that is there already is dropped: it is the same.
  func adopt(_ image: StoredImage, staging: String) throws(SliceError) -> StoredImage {
    try images.withLock { (table) throws(SliceError) -> StoredImage in
      var image = image
      for name in image.names {
        if let holder = table.values.first(where: { $0.names.contains(name) }),
          holder.owner != image.owner, image.owner != 0
        {
          throw SliceError(
            .refused, "the image name '\(name)' belongs to \(holder.ownerName)",
            hint: "choose another with --name")
        }
      }
      let path = layout.images + "/" + Self.directory(of: image.digest)
      do {
        if let existing = table[image.digest] {
          image.names = existing.names + image.names.filter { !existing.names.contains($0) }
          image.importedAt = existing.importedAt
          image.owner = existing.owner
          image.ownerName = existing.ownerName
          try Self.write(image, to: path)
        } else {
          try Self.write(image, to: staging)
          try checked("rename", "\(staging) to \(path)") { rename(staging, path) }
          try Files.syncDirectory(layout.images)
        }
        // A name means one image: the newest.
        for (digest, var other) in table where digest != image.digest {
          let kept = other.names.filter { !image.names.contains($0) }
          guard kept.count != other.names.count else { continue }
          other.names = kept
          try Self.write(other, to: layout.images + "/" + Self.directory(of: digest))
          table[digest] = other
        }
      } catch {
        throw SliceError(.failed, "store image \(image.digest): \(error)")
      }
      table[image.digest] = image
      return image
    }
  }

  /// Takes a name from an image; with its last name, or by its digest, the image goes, if no slice
  /// uses it: `users` are those that do.
  public func remove(_ reference: String, users: [String]) throws(SliceError) {
    let doomed = "\(layout.images)/.remove-\(UInt64.random(in: 0 ... .max))"
    try images.withLock { (table) throws(SliceError) in
      guard
        var image = table[reference] ?? table.values.first(where: { $0.names.contains(reference) })
      else { return }  // somebody else was faster
      let path = layout.images + "/" + Self.directory(of: image.digest)
      if image.names.contains(reference), image.names.count > 1 {
        image.names.removeAll { $0 == reference }
        do {
          try Self.write(image, to: path)
        } catch {
          throw SliceError(.failed, "take the name '\(reference)' from \(image.digest): \(error)")
        }
        table[image.digest] = image
        return
      }
      guard users.isEmpty else {
        throw SliceError(
          .refused, "image \(reference) is used by \(users.joined(separator: ", "))",
          hint: "destroy these slices first")
      }
      try reporting("remove image \(image.digest)") { () throws(SystemError) in
        // Out of the way in one step; what a crash leaves of it is removed at the next start.
        try checked("rename", path) { rename(path, doomed) }
      }
      table[image.digest] = nil
    }
    // Without the lock: a large tree must not keep others from making slices.
    try reporting("remove image \(reference)") { () throws(SystemError) in
      try Files.removeTree(doomed)
    }
  }

  private static func read(_ directory: String) -> StoredImage? {
    do {
      let bytes = try Files.read(directory + "/image.json")
      return try JSONDecoder().decode(StoredImage.self, from: Data(bytes))
    } catch {
      return nil  // an image without readable metadata cannot be used; it stays for inspection
    }
  }

  private static func write(_ image: StoredImage, to directory: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try Files.replace(directory + "/image.json", with: Array(try encoder.encode(image)))
  }
}
