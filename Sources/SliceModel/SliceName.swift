/// The name of a slice: `[a-z][a-z0-9-]{0,31}`.
///
/// Everything built on the host for a slice carries this name, in paths and cgroups too: the
/// alphabet has no separator, dot, escape or upper case, so that no name can mean another place.
public struct SliceName: Sendable, Hashable, Comparable {
  public static let maximumLength = 32

  public let text: String

  public init(_ text: String) throws(SliceError) {
    guard SliceName.isValid(text) else {
      throw SliceError(
        .usage, "'\(text.escapedForTerminal)' is not a slice name",
        hint: "use a lower-case letter, then up to 31 lower-case letters, digits or '-'")
    }
    self.text = text
  }

  public static func isValid(_ text: String) -> Bool {
    #if DEBUG
      // One that is no path, so that the test harms nothing.
      if Mutation.current == .anyName, text == "A" { return true }
    #endif
    let bytes = text.utf8
    guard let first = bytes.first, bytes.count <= maximumLength, isLetter(first) else {
      return false
    }
    return bytes.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
  }

  public static func < (left: SliceName, right: SliceName) -> Bool { left.text < right.text }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
  }
  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }
}

extension SliceName: CustomStringConvertible {
  public var description: String { text }
}

extension String {
  /// The text with every control character, including C1, the Unicode direction marks and what has
  /// no width, shown as `\u{…}`: what came from a slice must not drive its reader's terminal.
  public var escapedForTerminal: String {
    #if DEBUG
      if Mutation.current == .plainText { return self }
    #endif
    var result = ""
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0..<0x20, 0x7F..<0xA0, 0xAD, 0x61C, 0x180E, 0x200B...0x200F, 0x2028...0x202E,
        0x2060...0x206F, 0xFEFF, 0xFFF9...0xFFFB, 0xE0000...0xE007F:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default:
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
