import Descriptor
import FoundationEssentials
import Glibc
import SliceKernel
import SliceModel

/// An archive on its way into the store. It is unpacked by slice-unpack in a sandbox: the archive is
/// hostile, and the parser that reads it has no more than the directory it fills.
public struct ImageImport {
  public enum Form: String, Sendable { case tar, oci }

  public struct Progress: Sendable, Hashable {
    public var readBytes: UInt64
    public var entries: Int
  }

  let store: ImageStore
  let sandbox: UnpackSandbox

  public init(store: ImageStore, sandbox: UnpackSandbox) {
    self.store = store
    self.sandbox = sandbox
  }

  /// Unpacks, verifies and stores.
  ///
  /// - Parameters:
  ///   - archive: read to its end; a descriptor of the caller's.
  ///   - progress: called a few times a second; returns false to give up.
  public func run(
    _ form: Form, tag: String?, archive: SharedFD, name: String, owner: UInt32, ownerName: String,
    progress: (Progress) -> Bool
  ) throws(SliceError) -> StoredImage {
    guard ImageReference.isName(name) else {
      throw SliceError(
        .usage, "'\(name.escapedForTerminal)' is not an image name",
        hint: "use lower-case letters, digits, '.', '_' and '-', and ':TAG' if you like")
    }
    guard ![ImageStore.hostName, ImageStore.minimalName].contains(name) else {
      throw SliceError(.usage, "the image name '\(name)' is taken by the runtime")
    }
    let staging = store.layout.images + "/.import-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try reporting("import \(name)") { () throws(SystemError) in
      try Files.makeDirectory(staging, mode: 0o755)
    }
    defer {
      // Already renamed after a success; what cannot be removed goes at the next start.
      try? Files.removeTree(staging)
    }
    let result = try sandbox.unpack(
      form, tag: tag, archive: archive, into: staging, progress: progress)
    // A caller who is gone may have cut the archive short.
    guard progress(Progress(readBytes: result.bytes, entries: result.entries)) else {
      throw SliceError(.failed, "given up by the caller")
    }
    return try store.adopt(
      StoredImage(
        digest: result.digest, names: [name], entries: result.entries, bytes: result.bytes,
        importedAt: Clock.now, owner: owner, ownerName: ownerName, defaults: result.defaults),
      staging: staging)
  }
}

/// What slice-unpack said at its end.
struct UnpackResult {
  var digest: String
  var entries: Int
  var bytes: UInt64
  var defaults: ImageDefaults

  init(_ json: JSONValue) throws(SliceError) {
    guard let digest = json["digest"].string, ImageReference.isDigest(digest),
      let entries = json["entries"].integer, let bytes = json["bytes"].integer
    else { throw SliceError(.failed, "slice-unpack gave no usable result") }
    self.digest = digest
    self.entries = Int(entries)
    self.bytes = UInt64(clamping: bytes)
    defaults = ImageDefaults()
    let config = json["config"]
    func texts(_ key: String) -> [String] { (config[key].array ?? []).compactMap(\.string) }
    defaults.command = texts("entrypoint") + texts("cmd")
    defaults.environment = texts("env")
    defaults.user = config["user"].string.flatMap { $0.isEmpty ? nil : $0 }
    defaults.workdir = config["workdir"].string.flatMap { $0.isEmpty ? nil : $0 }
  }
}
