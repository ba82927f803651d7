import CSystem
import Descriptor
import Glibc

@testable import Varlink

func makeTemporaryDirectory() throws -> String {
  var template = Array("/tmp/varlink-test-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else {
    throw SystemError(code: errno, operation: "mkdtemp")
  }
  return template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}

struct Pipe: ~Copyable {
  let reading: OwnedFD
  let writing: OwnedFD

  init() throws {
    var ends: [Int32] = [-1, -1]
    try checked("pipe") { pipe(&ends) }
    reading = OwnedFD(adopting: ends[0])
    writing = OwnedFD(adopting: ends[1])
  }
}

func writeText(_ text: String, to descriptor: borrowing OwnedFD) throws {
  let bytes = Array(text.utf8)
  let number = descriptor.rawValue
  try retryingInterrupts("write") { write(number, bytes, bytes.count) }
}

/// What can be read until the end, or until a second passes without anything.
func readText(
  from descriptor: borrowing OwnedFD, timeout: Duration = .seconds(1)
) throws -> String {
  var text: [UInt8] = []
  var part = [UInt8](repeating: 0, count: 65536)
  let number = descriptor.rawValue
  while try awaitAny(of: [number], for: POLLIN, until: .after(timeout))[0] {
    let count = read(number, &part, part.count)
    if count <= 0 { break }
    text += part[..<count]
  }
  return String(decoding: text, as: UTF8.self)
}

/// Whether the other side closes the connection in time; what it sends before is dropped.
func isClosed(_ socket: borrowing OwnedFD, within time: Duration = .seconds(5)) throws -> Bool {
  var part = [UInt8](repeating: 0, count: 65536)
  let deadline = Deadline.after(time)
  let number = socket.rawValue
  while try awaitAny(of: [number], for: POLLIN, until: deadline)[0] {
    if recv(number, &part, part.count, 0) <= 0 { return true }
  }
  return false
}

func connectRaw(to path: String) throws -> OwnedFD {
  let socket = try openUnixSocket()
  let number = socket.rawValue
  try checked("connect", path) { system_unix_connect(number, path) }
  return socket
}

/// Sends bytes as they are; false when the other side takes no more.
@discardableResult
func sendRaw(_ bytes: [UInt8], on socket: borrowing OwnedFD) -> Bool {
  let number = socket.rawValue
  var sent = 0
  while sent < bytes.count {
    let count = bytes.withUnsafeBytes {
      send(number, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
    }
    if count <= 0 { return false }
    sent += count
  }
  return true
}

@discardableResult
func sendRaw(_ text: String, on socket: borrowing OwnedFD) -> Bool {
  sendRaw(Array(text.utf8), on: socket)
}

/// How many descriptors this process has open.
func openDescriptors() -> Int {
  guard let directory = opendir("/proc/self/fd") else { return -1 }
  defer { closedir(directory) }
  var count = 0
  while readdir(directory) != nil { count += 1 }
  return count
}

/// Looks until it is true, for at most five seconds.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  for _ in 0..<500 {
    if try condition() { return true }
    usleep(10_000)
  }
  return try condition()
}
