import Descriptor
import Glibc
import SliceInterface
import SliceModel

/// Where an image comes from, as the caller named it.
public enum ImageSource: Sendable, Hashable {
  /// A tar archive on standard input.
  case standardInput
  /// A tar archive, compressed or not.
  case file(String)
  /// A tree of files, or an OCI image layout in a directory.
  case directory(String)

  /// - Throws: an error that names the path when nothing readable is there.
  public init(_ source: String) throws(SliceError) {
    if source == "-" {
      self = .standardInput
      return
    }
    var status = stat()
    do throws(SystemError) {
      try checked("stat", source.escapedForTerminal) { stat(source, &status) }
    } catch {
      throw SliceError(
        .failed, "cannot read '\(source.escapedForTerminal)': \(error.explanation)",
        hint: "SOURCE is a directory, a tar file, an OCI image layout, or - for standard input")
    }
    self = status.st_mode & S_IFMT == S_IFDIR ? .directory(source) : .file(source)
  }

  /// What the archive that comes from it is, as far as can be seen without reading it all:
  /// a compressed archive, and one on standard input, count as a file tree.
  func kind() throws(SliceError) -> ImageImportCall.Kind {
    switch self {
    case .standardInput: .tar
    case .file(let path): TarListing.containsOCILayout(try Self.open(path).number) ? .oci : .tar
    case .directory(let path): access(path + "/oci-layout", F_OK) == 0 ? .oci : .tar
    }
  }

  static func open(_ path: String) throws(SliceError) -> Endpoint {
    do throws(SystemError) {
      let number = try checked("open", path.escapedForTerminal) {
        Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
      }
      return Endpoint(OwnedFD(adopting: number))
    } catch {
      throw SliceError(.failed, "cannot read '\(path.escapedForTerminal)': \(error.explanation)")
    }
  }

  /// The source's own name made an image name; nil where nothing of it can be used.
  public var suggestedName: String? {
    switch self {
    case .standardInput: nil
    case .file(let path): Self.imageName(from: path, suffixes: Self.archiveSuffixes)
    case .directory(let path): Self.imageName(from: Self.resolved(path), suffixes: [])
    }
  }

  private static let archiveSuffixes = [
    ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.zst", ".tzst",
  ]

  private static func imageName(from path: String, suffixes: [String]) -> String? {
    var name = (path.split(separator: "/").last.map(String.init) ?? "").lowercased()
    if let suffix = suffixes.first(where: { name.hasSuffix($0) }) { name.removeLast(suffix.count) }
    let allowed = name.utf8.map { byte in
      isAlphanumeric(byte) || "._-".utf8.contains(byte) ? byte : UInt8(ascii: "-")
    }
    let trimmed = allowed.drop { !isAlphanumeric($0) }.prefix(128)
    let result = String(decoding: trimmed, as: UTF8.self)
    return ImageReference.isName(result) ? result : nil
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
  }

  /// So that `.` has a name too.
  private static func resolved(_ path: String) -> String {
    guard let absolute = realpath(path, nil) else { return path }
    defer { free(absolute) }
    return String(cString: absolute)
  }
}
