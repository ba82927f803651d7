/// An instruction of classic BPF (struct sock_filter, Documentation/networking/filter.rst).
public struct FilterInstruction: Sendable, Hashable {
  public var code: UInt16
  /// How many instructions to pass over.
  public var ifTrue: UInt8
  public var ifFalse: UInt8
  public var operand: UInt32

  public init(_ code: UInt16, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0, operand: UInt32) {
    self.code = code
    self.ifTrue = ifTrue
    self.ifFalse = ifFalse
    self.operand = operand
  }

  /// BPF_MAXINSNS
  public static let mostInAProgram = 4096
}
