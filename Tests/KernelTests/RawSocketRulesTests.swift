import Glibc
import Testing

@testable import SliceKernel

/// What the first filter says to a call, found out by running its program as the kernel does.
@Suite struct RawSocketRulesTests {
  private static let socket: UInt32 = 41
  private static let setsockopt: UInt32 = 54
  private static let ask: UInt32 = 0x7FC0_0000
  private static let allow: UInt32 = 0x7FFF_0000
  private static func fail(_ code: Int32) -> UInt32 { 0x0005_0000 | UInt32(code) }

  struct Call: Sendable, CustomTestStringConvertible {
    var number: UInt32
    var arguments: [UInt64]
    var asked: UInt32
    var refused: UInt32
    var testDescription: String { "\(number)(\(arguments))" }

    init(_ number: UInt32, _ arguments: [UInt64], asked: UInt32, refused: UInt32? = nil) {
      self.number = number
      self.arguments = arguments
      self.asked = asked
      self.refused = refused ?? asked
    }
  }

  static let calls: [Call] = {
    let high: UInt64 = 1 << 32
    let flags: UInt64 = 0x80800  // SOCK_CLOEXEC, SOCK_NONBLOCK
    let family = fail(EAFNOSUPPORT)
    var calls: [Call] = []
    for above in [0, high, 0xFFFF_FFFF << 32] {
      for type in [1, 2, 3, 10, 3 | flags] as [UInt64] {
        calls.append(Call(socket, [17 | above, type, 0x300], asked: ask, refused: family))
        for domain in [2, 10] as [UInt64] {
          let raw = type & 0xF == 3
          let arguments = [domain | above, type | above, 1]
          calls.append(Call(socket, arguments, asked: raw ? ask : allow, refused: allow))
        }
        for domain in [0, 3, 16 + 64, 38, 40, 44, 17 + 64] as [UInt64] {
          calls.append(Call(socket, [domain | above, type, 0], asked: family))
        }
        calls.append(Call(socket, [1 | above, type, 0], asked: allow))
        calls.append(Call(socket, [16 | above, type, 0], asked: allow))
      }
      for option in [26, 27, 44] as [UInt64] {
        calls.append(Call(setsockopt, [3, 1 | above, option | above], asked: ask, refused: allow))
        calls.append(Call(setsockopt, [3, 6 | above, option | above], asked: allow))
      }
      for option in [5, 13] as [UInt64] {
        let arguments = [3, 263 | above, option | above]
        calls.append(Call(setsockopt, arguments, asked: ask, refused: allow))
        calls.append(Call(setsockopt, [3, 1 | above, option | above], asked: allow))
      }
      for (level, option) in [(1, 50), (263, 15), (263, 18), (263, 20), (263, 24)] {
        calls.append(
          Call(
            setsockopt, [3, UInt64(level) | above, UInt64(option) | above], asked: fail(EPERM),
            refused: allow))
      }
      calls.append(Call(setsockopt, [3, 1 | above, 2], asked: allow))
      calls.append(Call(setsockopt, [3, 263 | above, 10 /* PACKET_VERSION */], asked: allow))
    }
    return calls
  }()

  @Test func everyCallIsAnsweredAsItShould() throws {
    let asked = try SeccompProfile.networkService(rawSockets: .asked).programs[0]
    let refused = try SeccompProfile.networkService().programs[0]
    for call in Self.calls {
      #expect(asked.result(of: call) == call.asked, "\(call), asked")
      #expect(refused.result(of: call) == call.refused, "\(call), refused")
    }
  }
}

extension SeccompProgram {
  /// Runs the program as the kernel does (Documentation/networking/filter.rst), for the instructions
  /// that libseccomp writes.
  fileprivate func result(of call: RawSocketRulesTests.Call) -> UInt32? {
    // struct seccomp_data: number, architecture, instruction pointer, six arguments.
    var data: [UInt32] = [call.number, 0xC000_003E, 0, 0]
    for index in 0..<6 {
      let value = index < call.arguments.count ? call.arguments[index] : 0
      data += [UInt32(truncatingIfNeeded: value), UInt32(value >> 32)]
    }
    var accumulator: UInt32 = 0
    var at = 0
    while at < instructionCount {
      let base = instructions + at * 8
      let code = base.loadUnaligned(as: UInt16.self)
      let onTrue = Int(base.load(fromByteOffset: 2, as: UInt8.self))
      let onFalse = Int(base.load(fromByteOffset: 3, as: UInt8.self))
      let value = base.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
      at += 1
      switch code {
      case 0x20: accumulator = data[Int(value) / 4]
      case 0x54: accumulator &= value
      case 0x05: at += Int(value)
      case 0x15: at += accumulator == value ? onTrue : onFalse
      case 0x25: at += accumulator > value ? onTrue : onFalse
      case 0x35: at += accumulator >= value ? onTrue : onFalse
      case 0x06: return value
      default: return nil
      }
    }
    return nil
  }
}
