/// A tar archive in the making (the ustar interchange format, POSIX.1-1988, pax(1)).
struct TarArchive {
  private(set) var bytes: [UInt8] = []

  enum Entry {
    case directory
    case file([UInt8], executable: Bool)
    case link(String)
  }

  /// - Parameter path: relative, at most 99 bytes.
  mutating func add(_ path: String, _ entry: Entry) {
    let content: [UInt8]
    let mode: Int
    let type: Character
    var target = ""
    switch entry {
    case .directory: (content, mode, type) = ([], 0o755, "5")
    case .file(let bytes, let executable):
      (content, mode, type) = (bytes, executable ? 0o755 : 0o644, "0")
    case .link(let text): (content, mode, type, target) = ([], 0o777, "2", text)
    }
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
    }
    func number(_ value: Int, width: Int) -> String {
      let digits = String(value, radix: 8)
      return String(repeating: "0", count: width - digits.count) + digits
    }
    put(path, at: 0)
    put(number(mode, width: 7), at: 100)
    put(number(0, width: 7), at: 108)
    put(number(0, width: 7), at: 116)
    put(number(content.count, width: 11), at: 124)
    put(number(0, width: 11), at: 136)
    put("        ", at: 148)
    put(String(type), at: 156)
    put(target, at: 157)
    put("ustar", at: 257)
    put("00", at: 263)
    put(number(header.reduce(0) { $0 + Int($1) }, width: 6), at: 148)
    header[154] = 0
    bytes += header + content
    bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
  }

  /// With its end.
  var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}
