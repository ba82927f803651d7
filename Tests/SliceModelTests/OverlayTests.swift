import Testing

@testable import SliceModel

@Suite struct OverlayTests {
  private func terms(
    subnet: String = "10.64.0.0/16", part: String? = nil, key: WireGuardKey? = nil,
    identifier: UInt32? = nil, port: UInt16? = nil, mtu: UInt32? = nil, name: String = "mesh"
  ) throws(SliceError) -> OverlayTerms {
    try OverlayTerms(
      name: OverlayName(name), subnet: AddressPool4(subnet)!,
      part: part.map { AddressPool4($0)! }, privateKey: key, identifier: identifier, port: port,
      mtu: mtu)
  }

  private let key = WireGuardKey("yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=")!

  @Test(arguments: ["mesh", "a", "a-1", "abcdefghijklm"]) func namesOfInterfaces(_ text: String)
    throws
  {
    #expect(try OverlayName(text).text == text)
  }

  @Test(arguments: ["", "abcdefghijklmn", "lo", "eth0", "all", "default", "A", "1a", "a.b", "a/b"])
  func namesThatAreNone(_ text: String) {
    #expect(throws: SliceError.self) { try OverlayName(text) }
  }

  @Test func nodesAgreeWithoutAsking() throws {
    let one = try terms(part: "10.64.1.0/24")
    let other = try terms(part: "10.64.2.0/24")
    #expect(one.identifier == other.identifier)
    #expect(one.port == 4789 && one.mtu == 1430 && !one.isEncrypted)
    #expect(try terms(name: "other").identifier != one.identifier)
    #expect(try terms(key: key).port == 51820)
  }

  @Test(arguments: ["8.8.8.0/24", "172.32.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "100.0.0.0/8"])
  func subnetsOfOthers(_ subnet: String) {
    #expect(throws: SliceError.self) { try terms(subnet: subnet) }
  }

  @Test func boundsOfNumbers() {
    #expect(throws: SliceError.self) { try terms(identifier: 0) }
    #expect(throws: SliceError.self) { try terms(identifier: 1 << 24) }
    #expect(throws: SliceError.self) { try terms(mtu: 500) }
    #expect(throws: SliceError.self) { try terms(port: 0) }
    #expect(throws: SliceError.self) { try terms(port: 4790) }
    #expect(throws: SliceError.self) { try terms(key: key, port: 0) }
    #expect(throws: SliceError.self) { try terms(part: "10.65.0.0/24") }
    #expect(throws: SliceError.self) { try terms(subnet: "10.64.1.0/24", part: "10.64.0.0/16") }
  }

  @Test func addressesComeFromThePart() throws {
    let terms = try terms(part: "10.64.1.0/29")
    var taken: Set<IPv4Address> = []
    var given: [String] = []
    while let address = terms.freeAddress(beside: taken) {
      taken.insert(address)
      given.append(address.description)
    }
    #expect(given == ["10.64.1.2", "10.64.1.3", "10.64.1.4", "10.64.1.5", "10.64.1.6"])
    for text in ["10.64.1.0", "10.64.1.1", "10.64.1.7", "10.64.1.8", "10.64.2.2", "10.64.1.3"] {
      #expect(throws: SliceError.self, "\(text)") {
        try terms.admit(IPv4Address(text)!, beside: [IPv4Address("10.64.1.3")!])
      }
    }
    try terms.admit(IPv4Address("10.64.1.4")!, beside: [IPv4Address("10.64.1.3")!])
  }

  @Test func peersFit() throws {
    let plain = try terms(part: "10.64.1.0/24")
    let host = PeerAddress("192.0.2.7")!
    func check(
      _ part: String, _ terms: OverlayTerms, key: WireGuardKey? = nil, port: UInt16? = nil,
      beside others: [OverlayPeer] = []
    ) throws(SliceError) {
      try OverlayPeer(host: host, port: port, part: AddressPool4(part)!, key: key).validate(
        for: terms, beside: others)
    }
    try check("10.64.2.0/24", plain)
    for part in ["10.64.1.0/24", "10.64.1.128/25", "10.64.0.0/22", "10.65.0.0/24"] {
      #expect(throws: SliceError.self, "\(part)") { try check(part, plain) }
    }
    let other = OverlayPeer(host: PeerAddress("192.0.2.8")!, part: AddressPool4("10.64.4.0/22")!)
    #expect(throws: SliceError.self) { try check("10.64.5.0/24", plain, beside: [other]) }
    #expect(throws: SliceError.self) { try check("10.64.2.0/24", plain, key: key) }
    #expect(throws: SliceError.self) { try check("10.64.2.0/24", plain, port: 4790) }
    let secret = try terms(part: "10.64.1.0/24", key: key)
    #expect(throws: SliceError.self) { try check("10.64.2.0/24", secret) }
    try check("10.64.2.0/24", secret, key: key, port: 51821)
  }

  @Test(arguments: [
    "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1", "fe80::1", "x",
    "192.0.2.1/24",
  ])
  func addressesOfNoNode(_ text: String) { #expect(PeerAddress(text) == nil) }

  @Test func keysAreWrittenAsByWireGuard() {
    #expect(key.description == "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=")
    #expect(WireGuardKey(bytes: Array(0..<32))?.description.hasPrefix("AAECAwQFBgcICQoL") == true)
    let texts = [
      "", "AAAA", String(repeating: "A", count: 44), String(repeating: "A", count: 42) + "B=",
      String(repeating: "-", count: 43) + "=",
    ]
    for text in texts { #expect(WireGuardKey(text) == nil, "\(text)") }
    let clamped = WireGuardKey(random: [UInt8](repeating: 0xFF, count: 32))!
    #expect(clamped.bytes[0] == 0xF8 && clamped.bytes[31] == 0x7F)
  }
}
