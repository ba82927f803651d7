import Testing

@testable import SliceModel

struct NetworkPolicyTests {
  @Test(arguments: [
    ("10.1.2.0/24", 120), ("10.1.2.3", 128), ("0.0.0.0/0", 96), ("fd00:1::/32", 32), ("::/0", 0),
    ("2001:db8::1", 128), ("128.0.0.0/1", 97),
  ])
  func networksAreRead(text: String, length: Int) throws {
    let network = try #require(AddressNetwork(text))
    #expect(network.mappedLength == length && network.bytes.count == 16)
    #expect(network.description == text)
  }

  @Test(arguments: [
    "", "/", "10.1.2.3/24", "10.1.2.0/33", "10.1.2.0/-1", "10.1.2.0/", "10.1.2.0/24/24",
    "fd00::1/64",
    "fd00::/129", "host", "10.1.2", "10.1.2.0/ 24", "::ffff:10.0.0.1",
  ])
  func otherTextsAreNone(text: String) { #expect(AddressNetwork(text) == nil) }

  @Test func oneNetworkIsItselfHoweverItIsWritten() {
    #expect(AddressNetwork("fd00:0::/16") == AddressNetwork("fd00::/16"))
    #expect(AddressNetwork("10.0.0.0/8") != AddressNetwork("10.0.0.0/9"))
    #expect(AddressNetwork("10.0.0.1") == AddressNetwork("10.0.0.1/32"))
  }

  @Test(arguments: [("53/udp", 53, Transport.udp), ("65535/tcp", 65535, .tcp)])
  func portsAreRead(text: String, port: UInt16, transport: Transport) {
    let read = TransportPort(text)
    #expect(read?.port == port && read?.transport == transport)
  }

  @Test(arguments: ["", "53", "0/udp", "65536/tcp", "53/sctp", "53/UDP", "-1/tcp", "53/tcp/udp"])
  func otherPortsAreNone(text: String) { #expect(TransportPort(text) == nil) }

  @Test func privateNetworksAreRefusedAndWhatIsAllowedTakesTheirPlace() throws {
    var policy = NetworkPolicy()
    #expect(NetworkPolicy.privateNetworks.count == 14, "each of the list is a network")
    #expect(policy.rules.allSatisfy { !$0.isAllowed } && policy.rules.count == 14)
    policy.allow = try ["10.0.0.0/8", "192.168.7.0/24"].map { try #require(AddressNetwork($0)) }
    let rules = policy.rules
    #expect(rules.filter(\.isAllowed).count == 2 && rules.count == 15)
    #expect(Set(rules.map(\.network)).count == rules.count)
  }

  @Test func nameServersMeanPort53() {
    let services = NetworkPolicy.nameServices(["10.1.2.53", "fd00::53", "not an address"])
    #expect(services.count == 4 && services.allSatisfy { $0.port == 53 })
    #expect(services[0].address == IPv4Address("10.1.2.53")?.mappedBytes)
    #expect(Set(services).count == 4)
  }

  @Test func portsOfTheHostAreAtEachOfItsAddresses() {
    var policy = NetworkPolicy()
    policy.hostPorts = [TransportPort("123/udp")!]
    #expect(policy.services.map(\.address) == [[UInt8](repeating: 0, count: 16)])
    #expect(policy.services[0].transport.number == 17 && Transport.tcp.number == 6)
  }
}
