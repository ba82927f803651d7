import Descriptor
import Glibc
import SliceKernel
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceRuntime

/// What is kept of the flow audit, and that no slice takes others' part of it.
struct FlowFilesTests {
  private func record(
    _ number: Int, port: UInt16? = nil, slice: String = "web", packets: UInt64 = 1
  ) -> FlowRecord {
    FlowRecord(
      first: UInt64(number), last: UInt64(number),
      sender: FlowSender(slice: slice, number: 1, owner: 1000, ownerName: "alice"),
      address: FlowAddress(high: 0, low: 0xFFFF_0000_0000 + UInt64(number)),
      ports: port.map { FlowRecord.Ports(transport: 17, port: $0, sourcePort: 1) },
      packets: packets, bytes: 100 * packets)
  }

  private func lines(_ records: [FlowRecord]) -> [UInt8] {
    records.flatMap { Array($0.line.utf8) + [UInt8(ascii: "\n")] }
  }

  private func withDirectory(_ body: (String) throws -> Void) throws {
    var path = Array("/tmp/slices-flows.XXXXXX".utf8CString)
    #expect(mkdtemp(&path) != nil)
    let directory = String(decoding: path.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    defer { _ = try? Command.run(["rm", "-rf", directory]) }
    try body(directory)
  }

  private func all(_ files: FlowFiles, since: UInt64? = nil) throws -> [FlowRecord] {
    var found: [FlowRecord] = []
    for reader in try files.open(since: since) { try reader.read { found += $0 } }
    return found
  }

  // MARK: - Files

  @Test func whatWasWrittenIsReadByThisOneAndTheNext() throws {
    try withDirectory { directory in
      let records = (0..<10_000).map { record($0, port: 53) }
      var files = try FlowFiles(directory: directory, terms: FlowTerms())
      for start in stride(from: 0, to: records.count, by: 1000) {
        try files.append(lines(Array(records[start..<start + 1000])))
      }
      #expect(try all(files) == records)
      #expect(try all(FlowFiles(directory: directory, terms: FlowTerms())) == records)
    }
  }

  @Test(arguments: [0, 1, 40, 5000, 70_000])
  func halfALineOfACrashIsCutOff(length: Int) throws {
    try withDirectory { directory in
      var files = try FlowFiles(directory: directory, terms: FlowTerms())
      try files.append(lines([record(1), record(2)]))
      let torn = try Files.open(directory + "/flows", O_WRONLY | O_APPEND)
      try Files.writeAll(
        [UInt8](repeating: UInt8(ascii: "1"), count: length), to: torn.rawValue, path: directory)
      var next = try FlowFiles(directory: directory, terms: FlowTerms())
      try next.append(lines([record(3)]))
      #expect(try all(next) == [record(1), record(2), record(3)])
    }
  }

  @Test func noMoreIsKeptThanThePolicySays() throws {
    try withDirectory { directory in
      var terms = FlowTerms()
      terms.bytes = 1 << 18  // sixteen files of 16 KiB
      var files = try FlowFiles(directory: directory, terms: terms)
      for turn in 0..<25 {
        let text = lines((0..<300).map { record(turn * 300 + $0, port: 53) })
        try files.rotate(before: text.count)
        try files.append(text)
      }
      let kept = try all(files)
      #expect(kept.last == record(7499, port: 53))
      let size = try Files.list(directory).reduce(0) { sum, name in
        var info = stat()
        stat("\(directory)/\(name)", &info)
        return sum + info.st_size
      }
      #expect(size <= 1 << 18 && size >= 1 << 17, "\(size)")
      // In order, without a hole: only the oldest is gone.
      #expect(kept.map(\.first) == Array(UInt64(7500 - kept.count)..<7500))
    }
  }

  @Test func whatIsTooOldGoes() throws {
    try withDirectory { directory in
      for age in [1, 29, 31, 400] {
        try Files.replace(
          "\(directory)/flows.\(Clock.now / 1_000_000_000 - UInt64(age) * 86_400)",
          with: lines([record(age)]))
      }
      let files = try FlowFiles(directory: directory, terms: FlowTerms())
      #expect(try all(files).map(\.first) == [29, 1])
      // A file that was closed before is not even opened.
      let since = (Clock.now / 1_000_000_000 - 10 * 86_400) * 1000
      #expect(try all(files, since: since).map(\.first) == [1])
    }
  }

  // MARK: - Budgets

  @Test func aBurstIsKeptWholeAndAFloodCondensed() {
    var budget = FlowBudget()
    let burst = (0..<5000).map { record($0, port: 53) }
    #expect(budget.spend(burst) == burst)
    for _ in 0..<10 {
      let kept = budget.spend((0..<1280).map { record($0, port: 53, packets: UInt64($0 + 1)) })
      #expect(kept.count == 100)
      #expect(kept.reduce(0) { $0 + $1.packets } == 1280 * 1281 / 2)
      #expect(kept.reduce(0) { $0 + $1.bytes } == 100 * 1280 * 1281 / 2)
      // The largest are still named.
      #expect(kept.contains { $0.address == record(1279).address && $0.packets == 1280 })
      #expect(kept.count { $0.address == nil } == 1)
    }
    // Silence gives it back.
    for _ in 0..<50 { #expect(budget.spend([]).isEmpty) }
    #expect(budget.spend(burst).count == 5000)
  }

  @Test func manyPortsOfOneAddressBecomeThatAddress() {
    let flood = (1...1000).map { record(7, port: UInt16($0)) }
    let condensed = FlowBudget.condensed(flood, to: 10)
    #expect(condensed == [record(7, packets: 1000)])
    var rest = record(1, packets: 5)
    rest.address = nil
    let one = FlowBudget.condensed(flood + [record(9), rest], to: 1)
    #expect(one.count == 1 && one[0].address == nil && one[0].packets == 1006)
  }

  // MARK: - Whose link

  @Test func whoseALinkWasOutlivesTheSupervisor() throws {
    try withDirectory { directory in
      let path = directory + "/senders"
      func sender(_ slice: String) -> FlowSender {
        FlowSender(slice: slice, number: 1, owner: 1000, ownerName: "alice")
      }
      var senders = try FlowSenders(path: path)
      try senders.admit(7, sender("web"))
      try senders.admit(8, sender("gone"))
      try senders.settle(7, packets: 10, bytes: 1000)
      senders = try FlowSenders(path: path)
      #expect(senders.links[8]?.sender.slice == "gone")
      try senders.admit(7, sender("web"))
      let link = try #require(senders.links[7])
      let more = link.since(packets: 15, bytes: 1500)
      #expect(more.packets == 5 && more.bytes == 500)
      // Counters that begin anew.
      let fresh = link.since(packets: 3, bytes: 300)
      #expect(fresh.packets == 3 && fresh.bytes == 300)
      // Both maps are taken before what is gone is forgotten.
      #expect(try senders.forget() == [])
      #expect(try senders.forget() == [8])
      senders.dismiss(7)
      #expect(try senders.forget() == [])
      #expect(try senders.forget() == [7])
      #expect(try FlowSenders(path: path).links.isEmpty)
    }
  }
}
