// The parameters of the methods that measure, as the interface definition describes them. Their replies
// are those of `ExecuteCall`.
import SliceModel

public enum CaptureCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var interface: String
    public var filter: [Instruction]
    public var snapshot: Int
    public init(name: String, interface: String, filter: [FilterInstruction], snapshot: Int) {
      self.name = name
      self.interface = interface
      self.filter = filter.map(Instruction.init)
      self.snapshot = snapshot
    }
  }

  public struct Instruction: Sendable, Codable {
    public var code: UInt16
    public var ifTrue: UInt8
    public var ifFalse: UInt8
    public var operand: UInt32

    init(_ instruction: FilterInstruction) {
      code = instruction.code
      ifTrue = instruction.ifTrue
      ifFalse = instruction.ifFalse
      operand = instruction.operand
    }

    public var instruction: FilterInstruction {
      FilterInstruction(code, ifTrue: ifTrue, ifFalse: ifFalse, operand: operand)
    }
  }
}

public enum TrafficCall {
  public struct Parameters: Sendable, Codable {
    public var name: String
    public var arguments: [String]
    /// What it takes at most; nil: it goes on until it is signalled.
    public var milliseconds: UInt64?
    public init(name: String, arguments: [String], milliseconds: UInt64? = nil) {
      self.name = name
      self.arguments = arguments
      self.milliseconds = milliseconds
    }
  }
}
