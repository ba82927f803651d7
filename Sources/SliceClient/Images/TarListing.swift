import Glibc

/// Looks at the entries of an uncompressed tar archive without reading their contents.
enum TarListing {
  /// Further on nobody looks: an image layout has a handful of entries before the one looked for.
  private static let maximumEntries = 4096

  /// Whether the archive has a file `oci-layout` at its top, as the OCI image layout demands.
  /// False for what can't be read by position or is compressed.
  static func containsOCILayout(_ descriptor: Int32) -> Bool {
    var offset = 0
    for _ in 0..<maximumEntries {
      var header = [UInt8](repeating: 0, count: 512)
      guard pread(descriptor, &header, 512, offset) == 512, let size = size(header) else {
        return false
      }
      let name = String(decoding: header[0..<100].prefix { $0 != 0 }, as: UTF8.self)
      if name == "oci-layout" || name == "./oci-layout" { return true }
      offset += 512 + (size + 511) / 512 * 512
    }
    return false
  }

  /// Of the entry's content; nil when it isn't a header. tar(5), "POSIX ustar Archives": the magic
  /// is at 257, the size an octal text of 12 bytes at 124.
  private static func size(_ header: [UInt8]) -> Int? {
    guard header[257..<262].elementsEqual("ustar".utf8) else { return nil }
    let digits = header[124..<136].prefix { (0x30...0x37).contains($0) }
    return Int(String(decoding: digits, as: UTF8.self), radix: 8)
  }
}
