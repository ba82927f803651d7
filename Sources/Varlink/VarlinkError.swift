/// An error reply, as an interface declares it: thrown by the implementation of a method, sent to
/// the caller.
public struct VarlinkError: Error, Sendable {
  /// Fully qualified: `org.example.Interface.SomeError`.
  public let name: String
  /// What the interface declares for it; a JSON object.
  public let parameters: any Encodable & Sendable

  public init(_ name: String, _ parameters: any Encodable & Sendable = NoParameters()) {
    self.name = name
    self.parameters = parameters
  }
}

// The errors that every service may reply (https://varlink.org/Service).
extension VarlinkError {
  /// The names of the errors that every service may reply.
  public enum Standard: String, Sendable, CaseIterable {
    case interfaceNotFound = "org.varlink.service.InterfaceNotFound"
    case methodNotFound = "org.varlink.service.MethodNotFound"
    case methodNotImplemented = "org.varlink.service.MethodNotImplemented"
    case invalidParameter = "org.varlink.service.InvalidParameter"
    case permissionDenied = "org.varlink.service.PermissionDenied"
    case expectedMore = "org.varlink.service.ExpectedMore"
  }

  private init(_ standard: Standard, _ parameters: [String: String] = [:]) {
    self.init(standard.rawValue, parameters)
  }

  /// No such interface here.
  public static func interfaceNotFound(_ interface: String) -> VarlinkError {
    VarlinkError(.interfaceNotFound, ["interface": interface])
  }

  /// The interface has no such method.
  public static func methodNotFound(_ method: String) -> VarlinkError {
    VarlinkError(.methodNotFound, ["method": method])
  }

  /// The interface declares the method, this service lacks it.
  public static func methodNotImplemented(_ method: String) -> VarlinkError {
    VarlinkError(.methodNotImplemented, ["method": method])
  }

  /// The parameter of this name is missing, unknown, or has a wrong value.
  public static func invalidParameter(_ parameter: String) -> VarlinkError {
    VarlinkError(.invalidParameter, ["parameter": parameter])
  }

  /// The caller may not do this.
  public static var permissionDenied: VarlinkError { VarlinkError(.permissionDenied) }

  /// The method replies more than once, and the caller did not ask for that.
  public static var expectedMore: VarlinkError { VarlinkError(.expectedMore) }
}
