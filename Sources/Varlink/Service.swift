/// What all connections of a server share.
final class Service: Sendable {
  let registry: ConnectionRegistry
  let limits: VarlinkServer.Limits
  let observe: @Sendable (VarlinkServer.Event) -> Void
  let messageGuard: MessageGuard
  private let interfaces: [String: any VarlinkInterface]

  init(
    info: ServiceInfo, interfaces: [any VarlinkInterface], registry: ConnectionRegistry,
    limits: VarlinkServer.Limits, observe: @escaping @Sendable (VarlinkServer.Event) -> Void
  ) {
    self.registry = registry
    self.limits = limits
    self.observe = observe
    messageGuard = MessageGuard(
      maximumDepth: limits.messageDepth, maximumValues: limits.messageValues)
    let all = [ServiceInterface(info: info, offering: interfaces)] + interfaces
    self.interfaces = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
  }

  /// Passes a call to the interface that its method belongs to.
  func dispatch(_ call: VarlinkCall) throws {
    let (interfaceName, method) = Self.split(call.method)
    guard let interface = interfaces[interfaceName] else {
      throw VarlinkError.interfaceNotFound(interfaceName)
    }
    try interface.call(method, call)
  }

  /// What a caller is told when a method fails in a way that its interface did not foresee.
  func internalError(for method: String) -> VarlinkError {
    VarlinkError("\(Self.split(method).interface).InternalError")
  }

  /// `org.example.Interface.Method` into what precedes the last dot and what follows it.
  private static func split(_ name: String) -> (interface: String, method: String) {
    guard let dot = name.lastIndex(of: ".") else { return (name, "") }
    return (String(name[..<dot]), String(name[name.index(after: dot)...]))
  }
}
