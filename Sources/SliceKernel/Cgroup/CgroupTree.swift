import CKernel
import Descriptor
import Glibc

/// A cgroup that a slice has made below its own, with those below it.
public struct CgroupTree: Sendable, Hashable {
  /// As the slice chose it: any characters but '/' and newline; what is not UTF-8 is replaced.
  public var name: String
  public var use: CgroupUse
  public var children: [CgroupTree]

  /// What lies below an open directory of a cgroup, sorted by name: at most `limit` of them, and
  /// how many more there are.
  ///
  /// The slice changes the tree meanwhile as it likes. It is walked by descriptors and never follows a
  /// link, so that all that can change is what is found; one that has gone is left out.
  public static func below(
    _ directory: borrowing OwnedFD, limit: Int, controllers: Set<String>
  ) -> (children: [CgroupTree], more: Int) {
    var walk = Walk(left: limit, controllers: controllers)
    let children = walk.children(of: directory, depth: maximumDepth)
    return (children, max(0, descendants(of: directory) - (limit - walk.left)))
  }

  /// What the supervisor allows a slice (cgroup.max.depth), and a bound for this recursion where a
  /// kernel should not hold it.
  private static let maximumDepth = 16

  private struct Walk {
    /// How many more may be found.
    var left: Int
    let controllers: Set<String>

    mutating func children(of directory: borrowing OwnedFD, depth: Int) -> [CgroupTree] {
      guard depth > 0, left > 0 else { return [] }
      var result: [CgroupTree] = []
      for name in directories(in: directory) {
        guard left > 0 else { break }
        // Gone since it was listed.
        guard let child = try? open(name, in: directory) else { continue }
        left -= 1
        result.append(
          CgroupTree(
            name: name.text, use: CgroupUse(cgroup: child, controllers: controllers),
            children: children(of: child, depth: depth - 1)))
      }
      return result
    }
  }

  /// A name as the kernel has it, which need not be UTF-8.
  private struct Name {
    let bytes: [UInt8]
    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  private static func open(_ name: Name, in directory: borrowing OwnedFD) throws(SystemError)
    -> OwnedFD
  {
    let parent = directory.rawValue
    let path = (name.bytes + [0]).map(CChar.init(bitPattern:))
    return OwnedFD(
      adopting: try retryingInterrupts("openat") {
        openat(parent, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      })
  }

  /// Empty where it can't be read: the cgroup has gone.
  private static func directories(in directory: borrowing OwnedFD) -> [Name] {
    guard let own = try? open(Name(bytes: [UInt8(ascii: ".")]), in: directory),
      let stream = fdopendir(own.release())
    else { return [] }
    defer { closedir(stream) }
    var names: [Name] = []
    while let entry = readdir(stream) {
      guard entry.pointee.d_type == UInt8(DT_DIR) else { continue }
      let bytes = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if bytes != [0x2E], bytes != [0x2E, 0x2E] { names.append(Name(bytes: bytes)) }
    }
    return names.sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
  }

  /// All that lie below, at any depth (cgroup.stat).
  private static func descendants(of directory: borrowing OwnedFD) -> Int {
    var buffer = [UInt8](repeating: 0, count: 512)
    let count = kernel_read_file_at(directory.rawValue, "cgroup.stat", &buffer, buffer.count)
    let text = String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("nr_descendants ") }
    return line.flatMap { Int($0.dropFirst(15)) } ?? 0
  }
}
