// Opens a raw socket for each of many probes by one request, and pings an address with all of them at once.
// For a slice with raw.allow=icmp: `bulk-sockets 172.31.128.1` prints how many answers came.
//
//     .package(url: "…", from: "…")      .product(name: "SliceRaw", package: "slices")
import Glibc
import SliceRaw

let probes = 32

/// An ICMP echo request (RFC 792) with its checksum (RFC 1071).
func echo(identifier: UInt16, sequence: UInt16) -> [UInt8] {
  var message: [UInt8] = [8, 0, 0, 0]
  for word in [identifier, sequence] { message += [UInt8(word >> 8), UInt8(word & 0xFF)] }
  var sum: UInt32 = 0
  for at in stride(from: 0, to: message.count, by: 2) {
    sum += UInt32(message[at]) << 8 | UInt32(message[at + 1])
  }
  sum = (sum & 0xFFFF) + (sum >> 16)
  (message[2], message[3]) = (UInt8(~sum >> 8 & 0xFF), UInt8(~sum & 0xFF))
  return message
}

/// Whether an answer with this identifier comes within a second. A raw socket hears those of all.
func hears(_ socket: Int32, _ identifier: UInt16) -> Bool {
  var packet = [UInt8](repeating: 0, count: 1500)
  var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
  while poll(&entry, 1, 1000) > 0 {
    // Behind the header of IPv4.
    guard recv(socket, &packet, packet.count, 0) >= 28, packet[20] == 0 else { continue }
    if UInt16(packet[24]) << 8 | UInt16(packet[25]) == identifier { return true }
  }
  return false
}

guard CommandLine.arguments.count == 2 else { exit(2) }
var target = sockaddr_in()
target.sin_family = sa_family_t(AF_INET)
inet_pton(AF_INET, CommandLine.arguments[1], &target.sin_addr)

do {
  let sockets = try RawBroker().sockets(
    probes, domain: AF_INET, type: Int32(SOCK_RAW.rawValue), protocol: Int32(IPPROTO_ICMP))
  for (number, socket) in sockets.enumerated() {
    let message = echo(identifier: UInt16(number + 1), sequence: 1)
    withUnsafePointer(to: &target) { target in
      target.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        _ = sendto(
          socket, message, message.count, 0, address, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }
  let answered = sockets.enumerated().count { hears($1, UInt16($0 + 1)) }
  print("\(answered) of \(probes) answered")
  sockets.forEach { close($0) }
} catch {
  print(error)
  exit(1)
}
