/// What a service says about itself.
public struct ServiceInfo: Sendable, Codable, Hashable {
  public let vendor: String
  public let product: String
  public let version: String
  public let url: String

  public init(vendor: String, product: String, version: String, url: String) {
    self.vendor = vendor
    self.product = product
    self.version = version
    self.url = url
  }
}

/// `org.varlink.service`, with which tools find out what a service offers.
struct ServiceInterface: VarlinkInterface {
  static let name = "org.varlink.service"

  let info: ServiceInfo
  /// Name and definition of each interface, in the order in which they are listed.
  private let definitions: [(name: String, text: String)]

  init(info: ServiceInfo, offering interfaces: [any VarlinkInterface]) {
    self.info = info
    definitions =
      [(Self.name, Self.definition)] + interfaces.map { ($0.name, $0.description) }
  }

  var name: String { Self.name }
  var description: String { Self.definition }

  func call(_ method: String, _ call: VarlinkCall) throws {
    switch method {
    case "GetInfo":
      try call.reply(
        GetInfoReply(
          vendor: info.vendor, product: info.product, version: info.version, url: info.url,
          interfaces: definitions.map(\.name)))
    case "GetInterfaceDescription":
      let wanted = try call.parameters(as: GetInterfaceDescriptionParameters.self).interface
      guard let found = definitions.first(where: { $0.name == wanted }) else {
        throw VarlinkError.interfaceNotFound(wanted)
      }
      try call.reply(GetInterfaceDescriptionReply(description: found.text))
    default:
      throw VarlinkError.methodNotFound(call.method)
    }
  }

  static let definition = """
    # What every Varlink service answers about itself
    interface org.varlink.service

    # Who made the service, and the interfaces it offers
    method GetInfo() -> (
      vendor: string,
      product: string,
      version: string,
      url: string,
      interfaces: []string
    )

    # The definition of one of these interfaces, in the language of this text
    method GetInterfaceDescription(interface: string) -> (description: string)

    # There is no such interface here
    error InterfaceNotFound (interface: string)

    # The interface has no such method
    error MethodNotFound (method: string)

    # The interface has the method, this service does not implement it
    error MethodNotImplemented (method: string)

    # A parameter is missing, unknown or wrong
    error InvalidParameter (parameter: string)

    # The caller may not do this
    error PermissionDenied ()

    # The method replies more than once, and was called without asking for more
    error ExpectedMore ()

    """
}

/// The reply of `org.varlink.service.GetInfo`.
public struct GetInfoReply: Codable, Sendable, Hashable {
  public let vendor: String
  public let product: String
  public let version: String
  public let url: String
  public let interfaces: [String]
}

struct GetInterfaceDescriptionParameters: Codable {
  let interface: String
}

struct GetInterfaceDescriptionReply: Codable {
  let description: String
}
