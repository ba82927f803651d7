import SliceModel
import Testing

@Suite struct IPv4AddressTests {
  @Test(arguments: [
    ("0.0.0.0", 0), ("255.255.255.255", UInt32.max), ("192.0.2.1", 0xC000_0201),
    ("127.0.0.1", 0x7F00_0001),
  ])
  func parsesAndPrints(text: String, value: UInt32) {
    #expect(IPv4Address(text)?.value == value)
    #expect(IPv4Address(value: value).description == text)
  }

  @Test(arguments: [
    "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.0.0.1", "1.2.3.1000",
    "-1.2.3.4",
    "+1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "01.2.3.4", "1.2.3.010", "00.0.0.0", "0x1.2.3.4", "1.2.3.a",
    "1.2.3.٣", "１.2.3.4", "1.2.3.4\u{301}", "1.2.3.4/24", "::1",
  ])
  func refuses(text: String) { #expect(IPv4Address(text) == nil) }

  @Test func everyAddressComesBack() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<2000 {
      let address = IPv4Address(value: UInt32(truncatingIfNeeded: generator.next()))
      #expect(IPv4Address(address.description) == address)
    }
  }

  @Test func bytesAreInNetworkOrder() {
    #expect(IPv4Address(value: 0x0102_0304).bytes == [1, 2, 3, 4])
    #expect(IPv4Address(value: 1) < IPv4Address(value: 2))
  }
}

@Suite struct IPv6AddressTests {
  /// RFC 5952, sections 2 and 4: what is written, and the one form that is printed.
  @Test(arguments: [
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("0:0:0:0:0:0:0:0", "::"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:db8::1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8::0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:0db8::1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:0:1::1", "2001:db8::1:0:0:1"),
    ("2001:DB8:0:0:1::1", "2001:db8::1:0:0:1"),
    ("2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"),
    ("2001:db8:aaaa:bbbb:cccc:dddd::1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"),
    ("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
    ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"), ("1:0:0:2:0:0:0:0", "1:0:0:2::"),
    ("0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"), ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
  ])
  func parsesAndPrints(text: String, canonical: String) {
    #expect(IPv6Address(text)?.description == canonical)
  }

  @Test(arguments: [
    "", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1::2::3", ":1::", "1:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::", "::g", "::-1", "::-0",
    "::+1",
    "::1 ", " ::1", "::1%eth0", "::ffff:1.2.3.4", "[::1]", "::1/64", "::٣", "::１", "::Ａ", "0x1::",
    "::1\u{301}",
  ])
  func refuses(text: String) { #expect(IPv6Address(text) == nil) }

  @Test func everyAddressComesBackInOneForm() throws {
    var generator = SeededGenerator(seed: 8)
    for _ in 0..<2000 {
      // Groups of zeros are as frequent as others, so that runs of every length occur.
      let groups = (0..<8).map { _ in
        Bool.random(using: &generator) ? 0 : UInt16(truncatingIfNeeded: generator.number(below: 16))
      }
      let full = groups.map { String($0, radix: 16) }.joined(separator: ":")
      let address = try #require(IPv6Address(full))
      let printed = address.description
      #expect(IPv6Address(printed) == address)
      #expect(printed.utf8.count <= full.utf8.count)
      #expect(address.bytes == groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] })
    }
  }
}

@Suite struct AddressPoolTests {
  @Test func fourHasNodeAndSlices() throws {
    let pool = try #require(AddressPool4("172.31.128.0/17"))
    #expect(pool.description == "172.31.128.0/17")
    #expect(pool.capacity == 32_765)
    #expect(pool.address(0).description == "172.31.128.2")
    #expect(pool.address(pool.capacity - 1).description == "172.31.255.254")
  }

  @Test(arguments: [("10.0.0.0/30", 1), ("10.0.0.0/29", 5), ("10.0.0.0/8", (1 << 24) - 3)])
  func fourStaysInsideItsNetwork(text: String, capacity: Int) throws {
    let pool = try #require(AddressPool4(text))
    #expect(pool.capacity == capacity)
    let broadcast = pool.network.value | UInt32.max >> UInt32(pool.prefixLength)
    #expect(pool.address(capacity - 1).value == broadcast - 1)
  }

  @Test(arguments: [
    "", "10.0.0.0", "10.0.0.0/", "/8", "10.0.0.0/7", "10.0.0.0/31", "10.0.0.1/24", "10.0.0.0/+8",
    "10.0.0.0/-8", "10.0.0.0/٨", "10.0.0.0/8/8", "10.0.0/8", " 10.0.0.0/8", "::/64",
  ])
  func fourRefuses(text: String) { #expect(AddressPool4(text) == nil) }

  @Test func sixNumbersItsSlices() throws {
    let pool = try #require(AddressPool6("fd73:6c69:6365::/64"))
    #expect(pool.description == "fd73:6c69:6365::/64")
    #expect(pool.address(0).description == "fd73:6c69:6365::2")
    #expect(pool.address(32_764).description == "fd73:6c69:6365::7ffe")
  }

  @Test(arguments: ["fd00::/16", "fd00:0:0:1::/64", "fd00::1:0:0:0/80", "fd00::1:0:0/96"])
  func sixHasRoomForEveryFour(text: String) throws {
    let pool = try #require(AddressPool6(text))
    let last = pool.address((1 << 24) - 4)
    #expect(last.high == pool.network.high)
    #expect(last.low >> 32 == pool.network.low >> 32)
  }

  @Test(arguments: [
    "", "fd00::", "fd00::/15", "fd00::/97", "fd00::1/64", "fd00:0:0:1::/63", "fd00::1:0:0:0/79",
    "fd00::/+64", "fd00::/64/64", "10.0.0.0/24", "fd00::/٦٤",
  ])
  func sixRefuses(text: String) { #expect(AddressPool6(text) == nil) }

  @Test func policysDefaultsHold() {
    let policy = NodePolicy()
    #expect(policy.firstUserID.isMultiple(of: IDRange.length))
    let end = UInt64(policy.firstUserID) + UInt64(policy.userIDRanges) * UInt64(IDRange.length)
    // systemd's range for containers ends at 1879048191.
    #expect(end <= 1_879_048_192)
    #expect(policy.addresses4.capacity >= policy.userIDRanges)
  }
}
