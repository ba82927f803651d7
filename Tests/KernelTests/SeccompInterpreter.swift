import CSeccomp

@testable import SliceKernel

extension SeccompProgram {
  /// SECCOMP_RET_ALLOW
  static let allowing: UInt32 = 0x7FFF_0000

  /// Runs the program as the kernel does (Documentation/networking/filter.rst), for the instructions
  /// that libseccomp writes.
  func result(
    _ number: UInt32, _ arguments: [UInt64], architecture: UInt32 = 0xC000_003E
  ) -> UInt32? {
    // struct seccomp_data: number, architecture, instruction pointer, six arguments.
    var data: [UInt32] = [number, architecture, 0, 0]
    for index in 0..<6 {
      let value = index < arguments.count ? arguments[index] : 0
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

/// A call's number on x86-64.
enum SystemCallNumber {
  static func of(_ call: String) -> UInt32? {
    let number = cseccomp_number(call)
    return number < 0 ? nil : UInt32(number)
  }
}
