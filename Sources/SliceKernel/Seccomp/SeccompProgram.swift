import CKernel
import CSeccomp
import Descriptor
import Glibc
import SliceModel

/// A rule of a filter: what happens to one system call, or to some uses of it.
public struct SeccompRule: Sendable, Hashable {
  public enum Action: Sendable, Hashable {
    case allow
    case fail(Int32)
    /// Whoever holds the filter's listener answers (seccomp_unotify(2)).
    case ask
    /// Fails with ENOSYS, unless a filter that was loaded later refuses or asks: theirs counts.
    case absent
  }
  /// `(argument & mask) == value`; see cseccomp.h for the upper 32 bits.
  public struct Condition: Sendable, Hashable {
    public var argument: UInt32
    public var mask: UInt64
    public var value: UInt64
    public init(argument: UInt32, mask: UInt64, value: UInt64) {
      self.argument = argument
      self.mask = mask
      self.value = value
    }
  }
  public var call: String
  public var action: Action
  public var condition: Condition?
  /// Must match too.
  public var second: Condition?
  public init(
    _ call: String, _ action: Action, when condition: Condition? = nil, and second: Condition? = nil
  ) {
    self.call = call
    self.action = action
    self.condition = condition
    self.second = second
  }
}

/// A compiled filter, kept for the life of the process: profiles are few and shared by all slices.
public final class SeccompProgram: Sendable {
  public let name: String
  /// struct sock_filter[], for seccomp(2).
  nonisolated(unsafe) let instructions: UnsafeRawPointer  // written once, in init
  let instructionCount: UInt16

  public init(
    name: String, rules: [SeccompRule], otherwise: SeccompRule.Action
  ) throws(SliceError) {
    self.name = name
    let bytes = try reporting("seccomp profile \(name)") { () throws(SystemError) -> [UInt8] in
      try Self.compile(rules, otherwise)
    }
    let instructionSize = 8  // sizeof(struct sock_filter)
    guard bytes.count.isMultiple(of: instructionSize),
      bytes.count / instructionSize <= Self.mostInstructions
    else {
      throw Self.tooLong(name, bytes.count / instructionSize)
    }
    instructionCount = UInt16(bytes.count / instructionSize)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 8)
    memory.copyMemory(from: bytes, byteCount: bytes.count)
    instructions = UnsafeRawPointer(memory)
  }

  /// A program that asks its listener where either of two programs refuses.
  ///
  /// The kernel would obey the refusal of one program before it asks for another, and it takes a listener
  /// for one program alone. So the two are joined: where the first allows, it goes on to the second.
  init(asking first: SeccompProgram, _ second: SeccompProgram, name: String) throws(SliceError) {
    self.name = name
    let count = Int(first.instructionCount) + Int(second.instructionCount)
    guard count <= Self.mostInstructions else { throw Self.tooLong(name, count) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: count * 8, alignment: 8)
    let boundary = Int(first.instructionCount)
    memory.copyMemory(from: first.instructions, byteCount: boundary * 8)
    (memory + boundary * 8).copyMemory(
      from: second.instructions, byteCount: Int(second.instructionCount) * 8)
    for index in 0..<count {
      let instruction = memory + index * 8
      let operand = instruction + 4
      let isReturn = instruction.load(as: UInt16.self) == Self.returnConstant
      guard isReturn else { continue }
      if operand.load(as: UInt32.self) != Self.allow {
        operand.storeBytes(of: Self.ask, as: UInt32.self)
      } else if index < boundary {
        instruction.storeBytes(of: Self.jumpAlways, as: UInt16.self)
        operand.storeBytes(of: UInt32(boundary - index - 1), as: UInt32.self)
      }
    }
    instructions = UnsafeRawPointer(memory)
    instructionCount = UInt16(count)
  }

  // Of linux/filter.h and linux/seccomp.h.
  private static let returnConstant: UInt16 = 0x06  // BPF_RET | BPF_K
  private static let jumpAlways: UInt16 = 0x05  // BPF_JMP | BPF_JA
  private static let allow: UInt32 = 0x7FFF_0000  // SECCOMP_RET_ALLOW
  private static let ask: UInt32 = 0x7FC0_0000  // SECCOMP_RET_USER_NOTIF
  private static let mostInstructions = 4096

  private static func tooLong(_ name: String, _ count: Int) -> SliceError {
    SliceError(
      .failed, "seccomp profile \(name) compiles to \(count) instructions",
      hint: "the kernel takes \(mostInstructions) (BPF_MAXINSNS)")
  }

  deinit { instructions.deallocate() }

  private static func compile(
    _ rules: [SeccompRule], _ otherwise: SeccompRule.Action
  ) throws(SystemError) -> [UInt8] {
    let file = OwnedFD(
      adopting: try checked("memfd_create", "seccomp") { kernel_memory_file("seccomp") })
    let names = rules.map { strdup($0.call)! }
    defer { for name in names { free(name) } }
    let flat = zip(rules, names).map { rule, name in
      var entry = cseccomp_rule()
      entry.call = UnsafePointer(name)
      entry.action = code(rule.action)
      let conditions = [rule.condition, rule.second].compactMap { $0.map(flat(_:)) }
      entry.condition_count = UInt32(conditions.count)
      if let first = conditions.first { entry.conditions.0 = first }
      if conditions.count > 1 { entry.conditions.1 = conditions[1] }
      return entry
    }
    var failed = 0
    let error = cseccomp_compile(flat, flat.count, code(otherwise), file.rawValue, &failed)
    guard error == 0 else {
      throw SystemError(
        code: error, operation: "seccomp_rule_add",
        subject: failed < rules.count ? rules[failed].call : nil)
    }
    let number = file.rawValue
    try checked("lseek", "seccomp") { lseek(number, 0, SEEK_SET) }
    return try Files.read(number, path: "seccomp")
  }

  private static func flat(_ condition: SeccompRule.Condition) -> cseccomp_condition {
    cseccomp_condition(
      argument: condition.argument, mask: condition.mask, value: condition.value)
  }

  private static func code(_ action: SeccompRule.Action) -> Int32 {
    switch action {
    case .allow: 0
    case .fail(let code): code
    case .ask: Int32(CSECCOMP_ASK.rawValue)
    case .absent: Int32(CSECCOMP_ABSENT.rawValue)
    }
  }
}
