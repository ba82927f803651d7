import SliceModel
import Testing

struct FlowRecordTests {
  private let sender = FlowSender(slice: "web", number: 3, owner: 1000, ownerName: "alice")

  private func record(_ address: String?, _ ports: FlowRecord.Ports? = nil) -> FlowRecord {
    FlowRecord(
      first: 1_764_000_000_000, last: 1_764_000_009_999, sender: sender,
      address: address.flatMap(FlowAddress.init), ports: ports, packets: 12, bytes: 3456)
  }

  private static let dns = FlowRecord.Ports(transport: 17, port: 53, sourcePort: 40_123)

  @Test(arguments: ["192.0.2.7", "2001:db8::1", "::1", "255.255.255.255"])
  func linesComeBack(address: String) throws {
    for ports in [Self.dns, nil] {
      let one = record(address, ports)
      #expect(one.address?.description == address)
      #expect(FlowRecord(line: Array(one.line.utf8)) == one)
    }
    let rest = record(nil)
    #expect(FlowRecord(line: Array(rest.line.utf8)) == rest)
  }

  /// The form that is on disks.
  @Test func theLineIsTheDocumentedOne() {
    #expect(
      record("192.0.2.7", Self.dns).line
        == "1764000000000 1764000009999 web 3 1000 alice 192.0.2.7 53 40123 17 12 3456")
    #expect(
      record(nil).line == "1764000000000 1764000009999 web 3 1000 alice - - - - 12 3456")
  }

  @Test func halfALineIsNone() {
    let line = record("192.0.2.7", Self.dns).line
    // What is cut off at the end shortens a number at the most: the newline tells.
    let lastField = line.lastIndex(of: " ")!
    for length in 0...line.distance(from: line.startIndex, to: lastField) {
      #expect(FlowRecord(line: Array(line.utf8.prefix(length))) == nil)
    }
    for bad in [
      "1 2 web 3 1000 alice nowhere - - - 1 2", "1 2 web 3 1000 alice 192.0.2.7 70000 1 17 1 2",
      "1 2 web 3 1000 alice 192.0.2.7 53 1 300 1 2", "-1 2 web 3 1000 alice - - - - 1 2",
      "1 2 web 3 99999999999 alice - - - - 1 2", "1 2  3 1000 alice - - - - 1 2",
      "1 99999999999999999999 web 3 1000 alice - - - - 1 2",
    ] {
      #expect(FlowRecord(line: Array(bad.utf8)) == nil, "\(bad)")
    }
  }

  @Test func namesDoNotShiftTheFields() {
    var odd = record("192.0.2.7", Self.dns)
    odd.sender.ownerName = "a b\nc"
    let back = FlowRecord(line: Array(odd.line.utf8))
    #expect(back?.sender.ownerName == "a?b?c" && back?.packets == 12)
    odd.sender.ownerName = ""
    #expect(FlowRecord(line: Array(odd.line.utf8))?.sender.ownerName == "?")
  }

  private func filter(_ change: (inout FlowFilter) -> Void) -> FlowFilter {
    var filter = FlowFilter()
    change(&filter)
    return filter
  }

  @Test func aFilterFindsWhatItAsksForAndSaysWhatItCannotTell() {
    let one = record("192.0.2.7", Self.dns)
    let coarse = record("192.0.2.7")
    let rest = record(nil)
    let cases: [((inout FlowFilter) -> Void, [FlowFilter.Match])] = [
      ({ _ in }, [.yes, .yes, .yes]),
      ({ $0.network = AddressNetwork("192.0.2.0/24") }, [.yes, .yes, .unknown]),
      ({ $0.network = AddressNetwork("192.0.2.8") }, [.no, .no, .unknown]),
      ({ $0.network = AddressNetwork("::/0") }, [.no, .no, .unknown]),
      ({ $0.port = 53 }, [.yes, .unknown, .unknown]),
      ({ $0.port = 40_123 }, [.yes, .unknown, .unknown]),
      ({ $0.port = 54 }, [.no, .unknown, .unknown]),
      ({ $0.transport = 6 }, [.no, .unknown, .unknown]),
      (
        {
          $0.network = AddressNetwork("192.0.2.8"); $0.port = 53
        }, [.no, .no, .unknown]
      ),
      ({ $0.slice = "web" }, [.yes, .yes, .yes]), ({ $0.slice = "we" }, [.no, .no, .no]),
      ({ $0.owner = 1000 }, [.yes, .yes, .yes]), ({ $0.owner = 0 }, [.no, .no, .no]),
      ({ $0.since = one.last }, [.yes, .yes, .yes]),
      ({ $0.since = one.last + 1 }, [.no, .no, .no]),
      ({ $0.until = one.first }, [.yes, .yes, .yes]),
      ({ $0.until = one.first - 1 }, [.no, .no, .no]),
    ]
    for (number, (change, expected)) in cases.enumerated() {
      let filter = filter(change)
      #expect([one, coarse, rest].map(filter.match) == expected, "case \(number)")
    }
  }
}
