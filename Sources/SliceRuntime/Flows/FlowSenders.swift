import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// Whose link is which: what a packet was counted by is the index of a link, which is never given twice
/// while the host is up. In a file that goes with the boot as the links do, so that what a slice sent is
/// still known as its own when it is gone and another supervisor has come.
///
///     link INDEX SLICE NUMBER OWNERID OWNER
///     rest INDEX PACKETS BYTES              what the next figures of this link are counted from
struct FlowSenders: Sendable {
  struct Link: Sendable {
    var sender: FlowSender
    /// See `Departure.Detail.rest`.
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    /// How often was taken what it has sent since it has gone.
    var turnsSinceItWent: Int?
    var budget = FlowBudget()

    /// How much more these figures are than what is on record; all of them where they began anew.
    func since(packets: UInt64, bytes: UInt64) -> (packets: UInt64, bytes: UInt64) {
      guard packets >= self.packets, bytes >= self.bytes else { return (packets, bytes) }
      return (packets - self.packets, bytes - self.bytes)
    }
  }

  private(set) var links: [UInt32: Link] = [:]
  private let path: String
  private var file: SharedFD

  init(path: String) throws(SystemError) {
    self.path = path
    file = try Self.open(path)
    read(try Files.read(file.rawValue, path: path, limit: 64 << 20))
    try rewrite()
  }

  private static func open(_ path: String) throws(SystemError) -> SharedFD {
    SharedFD(
      try Files.open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW, mode: 0o600), label: path)
  }

  private mutating func read(_ text: [UInt8]) {
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      let words = fields.map { String(decoding: $0, as: UTF8.self) }
      guard words.count >= 4, let index = UInt32(words[1]) else { continue }
      if words[0] == "link", let sender = FlowSender(fields: fields[2...]) {
        links[index] = Link(sender: sender)
      } else if words[0] == "rest", let packets = UInt64(words[2]), let bytes = UInt64(words[3]) {
        links[index]?.packets = packets
        links[index]?.bytes = bytes
      }
    }
    // Those that still are, this supervisor admits.
    for index in links.keys { links[index]?.turnsSinceItWent = 0 }
  }

  /// A link that is about to be admitted.
  mutating func admit(_ index: UInt32, _ sender: FlowSender) throws(SystemError) {
    if links[index]?.sender == sender {
      links[index]?.turnsSinceItWent = nil
      return
    }
    links[index] = Link(sender: sender)
    try append("link \(index) \(sender.line)\n")
  }

  mutating func dismiss(_ index: UInt32) { links[index]?.turnsSinceItWent = 0 }

  /// Notes that all up to these figures is on record.
  mutating func settle(_ index: UInt32, packets: UInt64, bytes: UInt64) throws(SystemError) {
    guard links[index] != nil else { return }
    links[index]?.packets = packets
    links[index]?.bytes = bytes
    try append("rest \(index) \(packets) \(bytes)\n")
  }

  mutating func spend(_ index: UInt32, _ records: [FlowRecord]) -> [FlowRecord] {
    links[index]?.budget.spend(records) ?? records
  }

  /// After all was taken: forgets links that went some time ago. Returns their indices.
  mutating func forget() throws(SystemError) -> [UInt32] {
    for index in links.keys { links[index]?.turnsSinceItWent? += 1 }
    // Twice, because there are two maps.
    let gone = links.filter { ($0.value.turnsSinceItWent ?? 0) >= 2 }.map(\.key)
    for index in gone { links[index] = nil }
    if !gone.isEmpty { try rewrite() }
    return gone
  }

  private func append(_ text: String) throws(SystemError) {
    try Files.writeAll(Array(text.utf8), to: file.rawValue, path: path)
  }

  private mutating func rewrite() throws(SystemError) {
    let text = links.map { index, link in
      "link \(index) \(link.sender.line)\nrest \(index) \(link.packets) \(link.bytes)\n"
    }.joined()
    try Files.replace(path, with: Array(text.utf8))
    file = try Self.open(path)
  }
}
