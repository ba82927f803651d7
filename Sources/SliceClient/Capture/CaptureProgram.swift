import SliceModel

/// A filter expression as a program of classic BPF (Documentation/networking/filter.rst), for Ethernet.
public struct CaptureProgram: Sendable {
  public private(set) var instructions: [FilterInstruction] = []

  /// - Parameters:
  ///   - expression: nil: every packet.
  ///   - snapshot: bytes that are kept of one.
  public init(_ expression: CaptureExpression?, snapshot: UInt32) throws(SliceError) {
    var builder = Builder()
    let (yes, no) = (builder.label(), builder.label())
    if let expression { builder.add(expression, yes: yes, no: no) }
    builder.place(yes)
    builder.add(.result(snapshot))
    builder.place(no)
    builder.add(.result(0))
    instructions = try builder.resolved()
  }
}

/// Codes of linux/bpf_common.h.
private enum Code {
  static let loadWord: UInt16 = 0x20  // LD | W | ABS
  static let loadHalf: UInt16 = 0x28
  static let loadByte: UInt16 = 0x30
  static let loadLength: UInt16 = 0x80
  static let loadHalfIndexed: UInt16 = 0x48  // LD | H | IND
  static let loadHeaderLength: UInt16 = 0xB1  // LDX | B | MSH: four times the lower half byte
  static let and: UInt16 = 0x54
  static let jump: UInt16 = 0x05
  static let jumpEqual: UInt16 = 0x15
  static let jumpGreater: UInt16 = 0x25
  static let jumpGreaterEqual: UInt16 = 0x35
  static let jumpSet: UInt16 = 0x45
  static let result: UInt16 = 0x06
}

/// Where the headers are. IPv6 extension headers are not followed.
private enum Offset {
  static let type: UInt32 = 12
  static let ipv4: UInt32 = 14
  static let fragment: UInt32 = 20
  static let protocol4: UInt32 = 23
  static let next6: UInt32 = 20
  static let source4: UInt32 = 26
  static let destination4: UInt32 = 30
  static let source6: UInt32 = 22
  static let destination6: UInt32 = 38
  static let transport6: UInt32 = 54
}

private struct Builder {
  typealias Label = Int

  enum Step {
    case load(UInt16, UInt32)
    /// With the two labels that it leads to.
    case branch(UInt16, UInt32, yes: Label, no: Label)
    case result(UInt32)
  }

  private var steps: [Step] = []
  /// By label: the step that it stands before.
  private var places: [Int?] = []

  mutating func label() -> Label {
    places.append(nil)
    return places.count - 1
  }

  mutating func place(_ label: Label) { places[label] = steps.count }
  mutating func add(_ step: Step) { steps.append(step) }

  // MARK: - Expressions

  mutating func add(_ expression: CaptureExpression, yes: Label, no: Label) {
    switch expression {
    case .test(let test): add(test, yes: yes, no: no)
    case .not(let inner): add(inner, yes: no, no: yes)
    case .and(let left, let right):
      let second = label()
      add(left, yes: second, no: no)
      place(second)
      add(right, yes: yes, no: no)
    case .or(let left, let right):
      let second = label()
      add(left, yes: yes, no: second)
      place(second)
      add(right, yes: yes, no: no)
    }
  }

  private mutating func add(_ test: CaptureExpression.Test, yes: Label, no: Label) {
    switch test {
    case .type(let type): require(type: type, yes: yes, no: no)
    case .transport(let four, let six):
      let other = label()
      if let four {
        requireNext(type: 0x0800, no: other)
        check(Code.loadByte, Offset.protocol4, UInt32(four), yes: yes, no: no)
      }
      place(other)
      guard let six else { return leave(no) }
      requireNext(type: 0x86DD, no: no)
      check(Code.loadByte, Offset.next6, UInt32(six), yes: yes, no: no)
    case .network(let side, let network): add(side, network, yes: yes, no: no)
    case .ports(let side, let ports, let transport):
      let other = label()
      requireNext(type: 0x0800, no: other)
      requirePorts(of: transport, at: Offset.protocol4, no: no)
      // A later fragment has no ports.
      add(.load(Code.loadHalf, Offset.fragment))
      let first = label()
      add(.branch(Code.jumpSet, 0x1FFF, yes: no, no: first))
      place(first)
      add(.load(Code.loadHeaderLength, Offset.ipv4))
      add(side, ports, Code.loadHalfIndexed, Offset.ipv4, yes: yes, no: no)
      place(other)
      requireNext(type: 0x86DD, no: no)
      requirePorts(of: transport, at: Offset.next6, no: no)
      add(side, ports, Code.loadHalf, Offset.transport6, yes: yes, no: no)
    case .length(let range):
      add(.load(Code.loadLength, 0))
      let upper = label()
      add(.branch(Code.jumpGreaterEqual, range.lowerBound, yes: upper, no: no))
      place(upper)
      add(.branch(Code.jumpGreater, range.upperBound, yes: no, no: yes))
    }
  }

  /// Where neither branch has been taken.
  private mutating func leave(_ label: Label) {
    add(.branch(Code.jumpEqual, 0, yes: label, no: label))
  }

  private mutating func check(
    _ load: UInt16, _ offset: UInt32, _ value: UInt32, yes: Label, no: Label
  ) {
    add(.load(load, offset))
    add(.branch(Code.jumpEqual, value, yes: yes, no: no))
  }

  private mutating func require(type: UInt16, yes: Label, no: Label) {
    check(Code.loadHalf, Offset.type, UInt32(type), yes: yes, no: no)
  }

  private mutating func requireNext(type: UInt16, no: Label) {
    let next = label()
    require(type: type, yes: next, no: no)
    place(next)
  }

  private mutating func requirePorts(of transport: Transport?, at offset: UInt32, no: Label) {
    let next = label()
    add(.load(Code.loadByte, offset))
    let wanted = transport.map { [$0] } ?? Transport.allCases
    for (index, one) in wanted.enumerated() {
      let other = index == wanted.count - 1 ? no : label()
      add(.branch(Code.jumpEqual, UInt32(one.number), yes: next, no: other))
      if other != no { place(other) }
    }
    place(next)
  }

  private mutating func add(
    _ side: CaptureExpression.Side, _ ports: ClosedRange<UInt16>, _ load: UInt16, _ base: UInt32,
    yes: Label, no: Label
  ) {
    func one(_ offset: UInt32, no: Label) {
      add(.load(load, base + offset))
      let upper = label()
      add(.branch(Code.jumpGreaterEqual, UInt32(ports.lowerBound), yes: upper, no: no))
      place(upper)
      add(.branch(Code.jumpGreater, UInt32(ports.upperBound), yes: no, no: yes))
    }
    switch side {
    case .source: one(0, no: no)
    case .destination: one(2, no: no)
    case .either:
      let other = label()
      one(0, no: other)
      place(other)
      one(2, no: no)
    }
  }

  private mutating func add(
    _ side: CaptureExpression.Side, _ network: AddressNetwork, yes: Label, no: Label
  ) {
    // IPv4 stands in the last four of the bytes, as ::ffff:a.b.c.d.
    let isIPv4 =
      network.bytes.prefix(10).allSatisfy { $0 == 0 } && network.mappedLength >= 96
      && network.bytes[10] == 0xFF && network.bytes[11] == 0xFF
    let first = isIPv4 ? 12 : 0
    requireNext(type: isIPv4 ? 0x0800 : 0x86DD, no: no)
    func one(_ offset: UInt32, no: Label) {
      for word in stride(from: first, to: 16, by: 4) {
        let bits = min(32, max(0, network.mappedLength - 8 * word))
        guard bits > 0 else { break }
        let value = network.bytes[word..<word + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        add(.load(Code.loadWord, offset + UInt32(word - first)))
        if bits < 32 { add(.load(Code.and, UInt32.max << UInt32(32 - bits))) }
        let next = label()
        add(.branch(Code.jumpEqual, value, yes: next, no: no))
        place(next)
      }
      leave(yes)
    }
    let (source, destination) =
      isIPv4
      ? (Offset.source4, Offset.destination4) : (Offset.source6, Offset.destination6)
    switch side {
    case .source: one(source, no: no)
    case .destination: one(destination, no: no)
    case .either:
      let other = label()
      one(source, no: other)
      place(other)
      one(destination, no: no)
    }
  }

  // MARK: - Jumps

  /// A conditional jump passes over 255 instructions at most; so each is followed by two that go any
  /// distance, and leads to one of them.
  func resolved() throws(SliceError) -> [FilterInstruction] {
    var starts: [Int] = []
    var size = 0
    for step in steps {
      starts.append(size)
      if case .branch = step { size += 3 } else { size += 1 }
    }
    starts.append(size)
    guard size <= FilterInstruction.mostInAProgram else {
      throw SliceError(
        .usage,
        "filter: it comes to \(size) instructions, of which a filter may have \(FilterInstruction.mostInAProgram)"
      )
    }
    var program: [FilterInstruction] = []
    for step in steps {
      switch step {
      case .load(let code, let operand): program.append(FilterInstruction(code, operand: operand))
      case .result(let value): program.append(FilterInstruction(Code.result, operand: value))
      case .branch(let code, let operand, let yes, let no):
        program.append(FilterInstruction(code, ifTrue: 0, ifFalse: 1, operand: operand))
        for label in [yes, no] {
          // Every label is placed, and behind its jumps.
          let distance = starts[places[label]!] - (program.count + 1)
          program.append(FilterInstruction(Code.jump, operand: UInt32(distance)))
        }
      }
    }
    return program
  }
}
