import SliceModel
import Testing

@Suite struct PublishedPortTests {
  private func ports(_ text: String) throws -> [String] {
    var settings = Settings()
    try settings.set(.netPublish, to: text)
    return settings.publishedPorts.map(\.description)
  }

  @Test func rangesAreTakenApartAndTCPIsTheDefault() throws {
    #expect(try ports("8080:80") == ["8080:80/tcp"])
    #expect(try ports("53:53/udp,53:53/tcp") == ["53:53/udp", "53:53/tcp"])
    #expect(
      try ports("8000-8002:1-3/udp,9:9") == [
        "8000:1/udp", "8001:2/udp", "8002:3/udp", "9:9/tcp",
      ])
    #expect(try ports("65535:65535") == ["65535:65535/tcp"])
    #expect(try ports("1-1024:1-1024").count == 1024)
    var settings = Settings()
    try settings.set(.netPublish, to: "8080:80,53-54:1-2/udp")
    #expect(settings.publishEntries == ["8080:80/tcp", "53-54:1-2/udp"])
  }

  @Test(arguments: [
    ("80", "missing", "8080:80/tcp"), ("80/tcp", "missing", "host's port first"),
    ("127.0.0.1:80:80", "more than two ports", "addresses can't be chosen"),
    ("0:80", "'0' is not a port", "1 to 65535"), ("80:0", "'0' is not a port", "1 to 65535"),
    ("99999:1", "'99999' is not a port", "1 to 65535"), (":80", "'' is not a port", "1 to 65535"),
    ("a:80", "'a' is not a port", "1 to 65535"), ("-1:80", "is not a port", "range"),
    ("1-2-3:1", "is not a port", "range"), ("+1:80", "'+1' is not a port", "1 to 65535"),
    ("8080:80/sctp", "neither tcp nor udp", "5353:53/udp"),
    ("8080:80/TCP", "neither tcp nor udp", "/tcp"), ("8080:80/tcp/udp", "neither", "/tcp"),
    ("8010-8000:1-11", "8010-8000 ends before it begins", "8000-8010"),
    ("8000-8010:80", "not equally many", "9000-9010"),
    ("8080:80,8080:81", "8080/tcp of the host is published twice", "leads to one"),
    ("8080:80,8079-8081:1-3", "8080/tcp of the host is published twice", "leads to one"),
    ("1-1025:1-1025", "more than 1024 ports", "fewer"),
  ])
  func refuses(text: String, reason: String, hint: String) {
    let error = #expect(throws: SliceError.self) { try ports(text) }
    #expect(error?.code == .usage)
    #expect(error?.message.hasPrefix("net.publish") == true)
    #expect(error?.message.contains(reason) == true, "\(String(describing: error))")
    #expect(error?.hint?.contains(hint) == true, "\(String(describing: error))")
  }

  @Test func aListHasAnEnd() throws {
    func list(_ count: Int) -> String {
      (1...count).map { "\($0):1" }.joined(separator: ",")
    }
    #expect(try ports(list(64)).count == 64)
    let error = #expect(throws: SliceError.self) { try ports(list(65)) }
    #expect(error?.message.contains("65 entries") == true)
    #expect(error?.hint?.contains("range") == true)
  }

  @Test func onlyRoutedSlicesPublish() throws {
    for (mode, hint) in [("none", "leave one"), ("shared", "net.ports")] {
      var settings = Settings()
      try settings.apply(["net.publish=8080:80", "net.mode=\(mode)"])
      let error = #expect(throws: SliceError.self) { try settings.validate() }
      #expect(error?.code == .usage)
      #expect(error?.hint?.contains(hint) == true)
    }
    var settings = Settings()
    try settings.apply(["net.publish=8080:80", "net.mode=routed"])
    try settings.validate()
  }

  // MARK: - Owners

  private func admit(
    _ wanted: String, insteadOf current: String? = nil, _ ports: [PortRange]?
  ) throws {
    var (settings, before) = (Settings(), Settings())
    try settings.set(.netPublish, to: wanted)
    if let current { try before.set(.netPublish, to: current) }
    let capacity = NodeCapacity(millicores: 1000, memoryBytes: 1 << 30, pids: 1000)
    var bounds = ports == nil ? nil : OwnerBounds()
    if let ports { bounds?.ports = ports }
    try Admission(capacity: capacity, others: []).admit(
      settings, owner: 1, within: bounds, insteadOf: current == nil ? nil : before)
  }

  @Test func lowPortsAreForThoseWhoMay() throws {
    let some = ["443", "53/udp", "8000-8999/tcp"].compactMap(PortRange.init)
    try admit("80:80", nil)
    try admit("1024:80,65535:1/udp", OwnerBounds().ports)
    try admit("443:1,443:1/udp,53:1/udp,8000-8999:1-1000", some)
    // What a slice has already it keeps.
    try admit("80:8080,2000:1", insteadOf: "80:80", OwnerBounds().ports)
    for (wanted, ports, port) in [
      ("1023:80", OwnerBounds().ports, "1023/tcp"), ("53:53", some, "53/tcp"),
      ("8000:1/udp", some, "8000/udp"), ("9000:1", some, "9000/tcp"), ("9000:1", [], "9000/tcp"),
    ] {
      let error = #expect(throws: SliceError.self) { try admit(wanted, ports) }
      #expect(error?.code == .refused)
      #expect(error?.message.contains("port \(port) of the host") == true, "\(wanted)")
      #expect(
        error?.hint?.contains(ports.first?.description ?? "none") == true, "\(wanted)")
    }
  }

  @Test func rangesReadAsTheyAreWritten() {
    for text in ["443", "53/udp", "8000-8999/tcp", "1-65535"] {
      #expect(PortRange(text)?.description == text)
    }
    for text in ["", "0", "65536", "9-8", "1-2-3", "80/", "80/sctp", "80/tcp/udp", "-5", "5-"] {
      #expect(PortRange(text) == nil, "\(text)")
    }
  }
}
