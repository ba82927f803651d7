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
      #expect(asked.result(call.number, call.arguments) == call.asked, "\(call), asked")
      #expect(refused.result(call.number, call.arguments) == call.refused, "\(call), refused")
    }
  }
}
