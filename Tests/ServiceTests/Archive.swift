/// Writes tar archives (POSIX.1-1988, "ustar") with whatever a hostile one may hold.
struct Archive {
  enum Kind: UInt8 {
    case file = 0x30, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
  }
  private(set) var bytes: [UInt8] = []

  mutating func add(
    _ name: String, _ kind: Kind, link: String = "", content: [UInt8] = [], mode: UInt16 = 0o755
  ) {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, _ offset: Int) {
      header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
    }
    func put(octal value: Int, _ offset: Int, digits: Int) {
      let text = String(value, radix: 8)
      put(String(repeating: "0", count: digits - text.count) + text, offset)
    }
    put(name, 0)
    put(octal: Int(mode), 100, digits: 7)
    put(octal: 0, 108, digits: 7)
    put(octal: 0, 116, digits: 7)
    put(octal: content.count, 124, digits: 11)
    put(octal: 1_700_000_000, 136, digits: 11)
    header[156] = kind.rawValue
    put(link, 157)
    put("ustar\u{0}00", 257)
    if kind == .characterDevice || kind == .blockDevice {
      put(octal: 8, 329, digits: 7)
      put(octal: 0, 337, digits: 7)
    }
    // The sum counts its own field as spaces.
    header.replaceSubrange(148..<156, with: [UInt8](repeating: 0x20, count: 8))
    put(octal: header.reduce(0) { $0 + Int($1) }, 148, digits: 6)
    header[154] = 0
    bytes += header + content
    bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
  }

  /// With the two empty blocks at its end.
  var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}
