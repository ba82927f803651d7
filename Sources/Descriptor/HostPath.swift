import Glibc

/// Looking at paths of the host, for every module.
public enum HostPath {
  /// What an open file still has to give, at most `limit` bytes (EFBIG beyond them).
  ///
  /// - Parameter path: of the file, for errors.
  public static func content(
    of descriptor: Int32, path: String, limit: Int = .max
  ) throws(SystemError) -> [UInt8] {
    var content: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
      let count = try retryingInterrupts("read", path) { read(descriptor, &buffer, buffer.count) }
      if count == 0 { return content }
      content += buffer[..<count]
      if content.count > limit {
        throw SystemError(code: EFBIG, operation: "read", subject: path)
      }
    }
  }

  /// The names in a directory, without `.` and `..`, sorted.
  public static func names(in path: String) throws(SystemError) -> [String] {
    guard let stream = opendir(path) else {
      throw SystemError(code: errno, operation: "opendir", subject: path)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Where a symbolic link leads, or what a magic link of proc says (proc(5)); nil for what is neither.
  public static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlink(path, &buffer, Int(PATH_MAX))
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}
