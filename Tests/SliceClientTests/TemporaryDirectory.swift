import Descriptor
import Glibc

/// A directory that goes with this object.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws(SystemError) {
    var template = Array("/tmp/slice-client-test.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw SystemError(code: errno, operation: "mkdtemp")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { _ = system("rm -rf '\(path)'") }

  func write(_ name: String, _ text: String) {
    let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    defer { close(file) }
    _ = Glibc.write(file, text, text.utf8.count)
  }

  func read(_ name: String) -> String {
    let file = open("\(path)/\(name)", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while case let count = Glibc.read(file, &part, part.count), count > 0 {
      bytes += part[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
