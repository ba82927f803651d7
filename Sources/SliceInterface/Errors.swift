// `SliceError` as a Varlink error: `org.sliceruntime.Slices.<code>` with message and hint.
import SliceModel

/// The name of the interface and of what belongs to it.
public enum SliceInterface {
  public static let name = "org.sliceruntime.Slices"

  /// The full name of one of its methods.
  public static func method(_ name: String) -> String { "\(Self.name).\(name)" }

  /// Where the supervisor listens unless told otherwise.
  public static let defaultSocket = "/run/slices/sliced.sock"

  /// The interface definition, as org.varlink.service serves it.
  public static var definition: String {
    String(decoding: PackageResources.org_sliceruntime_Slices_varlink, as: UTF8.self)
  }
}

/// The parameters of every error of the interface.
public struct ErrorParameters: Sendable, Hashable, Codable {
  public var message: String
  public var hint: String?
  public init(message: String, hint: String?) {
    self.message = message
    self.hint = hint
  }
}

extension SliceError {
  /// The name on the wire.
  public var varlinkName: String { "\(SliceInterface.name).\(code.rawValue)" }

  /// The reverse; nil for an error of another interface.
  public init?(varlinkName: String, parameters: ErrorParameters) {
    let prefix = SliceInterface.name + "."
    guard varlinkName.hasPrefix(prefix),
      let code = SliceError.Code(rawValue: String(varlinkName.dropFirst(prefix.count)))
    else { return nil }
    self.init(code, parameters.message, hint: parameters.hint)
  }
}
