import Descriptor
import Glibc
import SystemTestSupport

/// A directory that goes with this object.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/slices-kernel-test.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError(code: errno, operation: "mkdtemp") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { _ = try? Command.run(["rm", "-rf", "--one-file-system", path]) }

  subscript(name: String) -> String { path + "/" + name }
}
