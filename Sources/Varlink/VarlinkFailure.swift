import FoundationEssentials

/// Why a call did not succeed.
public enum VarlinkFailure: Error, Sendable {
  /// The service replied with an error.
  case replied(ErrorReply)
  /// There was no usable reply. The client can't be used any more.
  case connection(ConnectionFailure)
}

extension VarlinkFailure: CustomStringConvertible {
  public var description: String {
    switch self {
    case .replied(let reply): reply.description
    case .connection(let failure): failure.description
    }
  }
}

/// An error that a service replied.
public struct ErrorReply: Sendable, CustomStringConvertible {
  /// Fully qualified: `org.example.Interface.SomeError`.
  public let name: String
  private let text: Data

  init(name: String, text: Data) {
    self.name = name
    self.text = text
  }

  /// The error's parameters; nil when they are not of this type.
  public func parameters<Parameters: Decodable>(
    as type: Parameters.Type = Parameters.self
  ) -> Parameters? {
    try? decodeParameters(type, from: text)
  }

  /// The whole reply as it came: JSON text.
  public var json: String { String(decoding: text, as: UTF8.self) }

  public var description: String { json }
}
