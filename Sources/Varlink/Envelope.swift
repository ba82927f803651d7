import FoundationEssentials

// The JSON objects of the protocol (https://varlink.org/Method-Call). The parameters' type is
// known only after the envelope has been read, so they are decoded in a second step from the
// same bytes.

/// A call, without its parameters.
struct CallHeader: Decodable {
  let method: String
  let more: Bool?
  let oneway: Bool?
  let upgrade: Bool?
}

/// A reply, without its parameters.
struct ReplyHeader: Decodable {
  let continues: Bool?
  let error: String?
}

/// The parameters of a call or a reply.
struct Body<Parameters: Decodable>: Decodable {
  let parameters: Parameters?
}

/// A call as it is sent; what is nil is left out.
struct Call<Parameters: Encodable>: Encodable {
  let method: String
  let parameters: Parameters
  let more: Bool?
  let oneway: Bool?
}

/// A reply as it is sent; what is nil is left out.
struct Reply<Parameters: Encodable>: Encodable {
  let parameters: Parameters
  let continues: Bool?
  let error: String?
}

/// The parameters of a call or reply that has none.
public struct NoParameters: Codable, Sendable, Hashable {
  public init() {}
}

/// Parameters of which a call may have no others than declared: a misspelt or unsupported one is
/// refused, where plain `Decodable` ones are ignored. Declare the keys for it:
/// `enum CodingKeys: String, CodingKey, CaseIterable`.
public protocol StrictParameters: Decodable {
  associatedtype CodingKeys: CodingKey & CaseIterable
}

/// The names of an object's members, whatever their values.
struct MemberNames: Decodable {
  let names: [String]

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    names = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
  }
}

/// Decodes the parameters of a message; missing ones count as an empty object.
func decodeParameters<Parameters: Decodable>(
  _ type: Parameters.Type, from message: Data
) throws -> Parameters {
  let body = try JSONDecoder().decode(Body<Parameters>.self, from: message)
  if let parameters = body.parameters { return parameters }
  return try JSONDecoder().decode(Parameters.self, from: Data("{}".utf8))
}

/// A message as it is sent: JSON text and the terminating NUL.
func encodeMessage(_ message: some Encodable) throws -> Data {
  let encoder = JSONEncoder()
  encoder.outputFormatting = .withoutEscapingSlashes
  var bytes = try encoder.encode(message)
  bytes.append(0)
  return bytes
}

extension DecodingError {
  /// The parameter at fault, such as `mounts[2].source`.
  var parameterName: String {
    var path: [any CodingKey]
    switch self {
    case .keyNotFound(let key, let context): path = context.codingPath + [key]
    case .typeMismatch(_, let context), .valueNotFound(_, let context),
      .dataCorrupted(let context):
      path = context.codingPath
    @unknown default: path = []
    }
    if path.first?.stringValue == "parameters" && path.count > 1 { path.removeFirst() }
    let name = path.reduce(into: "") { name, key in
      if let index = key.intValue {
        name += "[\(index)]"
      } else {
        name += name.isEmpty ? key.stringValue : ".\(key.stringValue)"
      }
    }
    return name.isEmpty ? "parameters" : name
  }
}
