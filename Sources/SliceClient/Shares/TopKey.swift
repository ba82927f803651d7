/// What was typed, as terminals send it.
public enum TopKey: Sendable, Hashable {
  case character(Character)
  case up, down, pageUp, pageDown, home, end
  case interrupt, suspend

  /// The keys in what a read from a terminal gave; those that mean nothing are left out.
  /// (ECMA-48 control sequences; the cursor keys of xterm in both of its modes.)
  public static func parse(_ bytes: some Sequence<UInt8>) -> [TopKey] {
    var keys: [TopKey] = []
    var rest = Array(bytes)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case 0x03: keys.append(.interrupt)
      case 0x1A: keys.append(.suspend)
      case 0x0E: keys.append(.down)
      case 0x10: keys.append(.up)
      case 0x1B: if let key = sequence(&rest) { keys.append(key) }
      case 0x20..<0x7F: keys.append(.character(Character(Unicode.Scalar(byte))))
      default: break
      }
    }
    return keys
  }

  /// What follows an escape.
  private static func sequence(_ rest: inout ArraySlice<UInt8>) -> TopKey? {
    guard let kind = rest.first, kind == UInt8(ascii: "[") || kind == UInt8(ascii: "O") else {
      return nil
    }
    rest = rest.dropFirst()
    let parameters = rest.prefix { (0x20..<0x40).contains($0) }
    rest = rest.dropFirst(parameters.count)
    switch rest.popFirst() {
    case UInt8(ascii: "A"): return .up
    case UInt8(ascii: "B"): return .down
    case UInt8(ascii: "H"): return .home
    case UInt8(ascii: "F"): return .end
    case UInt8(ascii: "~"):
      switch String(decoding: parameters, as: UTF8.self) {
      case "1", "7": return .home
      case "4", "8": return .end
      case "5": return .pageUp
      case "6": return .pageDown
      default: return nil
      }
    default: return nil
    }
  }
}
