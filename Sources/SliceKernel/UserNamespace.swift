import CLaunch
import Descriptor
import SliceModel

/// A user namespace, made and mapped before anything lives in it.
public struct UserNamespace: Sendable {
  public let descriptor: SharedFD
  public let range: IDRange

  /// Id n inside is id `range.first + n` on the host, for 65,536 ids. No namespace of any kind can
  /// be made inside it (user.max_*_namespaces are 0).
  ///
  /// - Parameter procfs: one for several namespaces; nil: one of its own.
  public init(range: IDRange, through procfs: Procfs? = nil) throws(SystemError) {
    let procfs = if let procfs { procfs } else { try Procfs() }
    var number: Int32 = -1
    var step: UnsafePointer<CChar>?
    let error = launch_user_namespace(
      procfs.root.rawValue, range.first, IDRange.length, &number, &step)
    guard error == 0 else {
      throw SystemError(
        code: error, operation: step.map { String(cString: $0) } ?? "clone3",
        subject: "ids \(range.first)+\(IDRange.length)")
    }
    descriptor = SharedFD(OwnedFD(adopting: number), label: "user namespace")
    self.range = range
  }
}
