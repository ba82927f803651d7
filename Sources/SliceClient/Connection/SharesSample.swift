import SliceInterface
import SliceModel

/// What slices may use and do use, at one moment: the objects of slicectl(1), "JSON".
public struct SharesSample: Sendable, Hashable {
  public var slices: [JSONValue]
  /// All slices of the node together.
  public var node: JSONValue

  public init(slices: [JSONValue], node: JSONValue) {
    self.slices = slices
    self.node = node
  }
}

extension Supervisor {
  /// Of one slice, or of all that the caller may see.
  /// - Parameters:
  ///   - tree: also of the cgroups that they have made below their own.
  ///   - timeout: nil for what a working supervisor needs.
  public func shares(
    _ name: SliceName? = nil, tree: Bool = false, timeout: Duration? = nil
  ) throws(SliceError) -> SharesSample {
    let text = try callForText(
      "Shares", SharesCall.Parameters(name: name?.text, tree: tree),
      timeout: timeout ?? Self.promptly)
    do throws(JSONSyntaxError) {
      let reply = try JSONValue(parsing: text)
      return SharesSample(slices: reply["slices"].array ?? [], node: reply["node"])
    } catch {
      throw SliceError(.failed, "the supervisor's answer can't be read: \(error)")
    }
  }
}
