import FoundationEssentials
import SliceModel
import Testing

@Suite struct SettingsTests {
  @Test func typedValues() throws {
    var settings = Settings()
    try settings.apply([
      "cpu.weight=200", "cpu.max=150%", "cpu.set=0-1", "memory.max=256M", "net.max=1M",
      "net.mode=none",
    ])
    #expect(settings.count(.cpuWeight) == 200)
    #expect(settings.cpuMax?.millicores == 1500)
    #expect(settings.cpuSet?.ranges == [0...1])
    #expect(settings.bytes(.memoryMax) == 256 << 20)
    #expect(settings.rate(.netMax)?.bitsPerSecond == 1_000_000)
    #expect(settings.networkMode == .none)
    // An accessor of another form is nil, never a reinterpretation.
    #expect(settings.bytes(.cpuWeight) == nil)
    #expect(settings.count(.memoryMax) == nil)
    #expect(Settings().networkMode == .routed)
  }

  @Test func keysKeepTheirOrder() throws {
    var settings = Settings()
    try settings.apply(["pids.max=64", "cpu.weight=1", "memory.max=1G"])
    #expect(settings.keys == [.cpuWeight, .memoryMax, .pidsMax])
  }

  @Test func laterAssignmentsWin() throws {
    var settings = Settings()
    try settings.apply(["pids.max=64", "pids.max=65"])
    #expect(settings.count(.pidsMax) == 65)
  }

  @Test(arguments: ["", "default", "max"]) func removes(text: String) throws {
    var settings = Settings()
    try settings.apply(["memory.max=1G", "memory.max=\(text)"])
    #expect(settings == Settings())
  }

  @Test func maximumIsForCeilingsAlone() throws {
    var settings = Settings()
    try settings.apply(["memory.high=max", "io.read.max=max", "disk.files.max=max"])
    #expect(throws: SliceError.self) { try settings.apply(["memory.min=max"]) }
    #expect(throws: SliceError.self) { try settings.apply(["cpu.weight=max"]) }
  }

  @Test(arguments: ["", "memory.max", "=1", "memory.max:1", "memory.max =1"])
  func refusesWhatIsNoAssignment(text: String) {
    var settings = Settings()
    let error = #expect(throws: SliceError.self) { try settings.apply([text]) }
    #expect(error?.code == .usage)
  }

  @Test func onlyTheFirstEqualsSignSeparates() {
    var settings = Settings()
    let error = #expect(throws: SliceError.self) { try settings.apply(["memory.max=a=b"]) }
    #expect(error?.message == "memory.max=a=b is not valid")
  }

  @Test(arguments: [
    ["memory.min=2G", "memory.max=1G"], ["memory.low=2G", "memory.high=1G"],
    ["memory.min=2G", "memory.low=1G"], ["memory.high=2G", "memory.max=1G"],
    ["memory.min=2G", "memory.low=3G", "memory.max=2500M"], ["net.min=2M", "net.max=1M"],
  ])
  func refusesContradictions(assignments: [String]) throws {
    var settings = Settings()
    try settings.apply(assignments)
    let error = #expect(throws: SliceError.self) { try settings.validate() }
    #expect(error?.code == .usage)
    #expect(error?.message.contains("is above") == true)
  }

  @Test(arguments: [
    [], ["memory.min=1G", "memory.low=1G", "memory.high=1G", "memory.max=1G"],
    ["memory.max=1M", "memory.swap.max=0"], ["net.min=1M", "net.max=1M"], ["memory.min=0"],
  ])
  func acceptsWhatAgrees(assignments: [String]) throws {
    var settings = Settings()
    try settings.apply(assignments)
    try settings.validate()
  }

  @Test func anySubsetComesBackThroughTextsAndJSON() throws {
    let values: [Key: [String]] = [
      .cpuWeight: ["1", "200"], .cpuMax: ["150%", "1234m"], .cpuSet: ["0-3,8"],
      .memoryMax: ["256M", "1.5G"], .pidsMax: ["64"], .ioReadMax: ["4K"], .netMin: ["1M"],
      .netMode: ["shared"], .rawAllow: ["icmp,tun"], .lease: ["12h"], .grantNest: ["true"],
      .seccompProfile: ["default", "strict"], .seccompRefuse: ["ptrace,shmget"],
    ]
    var generator = SeededGenerator(seed: 6)
    for _ in 0..<200 {
      var settings = Settings()
      for key in Key.allCases where Bool.random(using: &generator) {
        guard let text = values[key]?.randomElement(using: &generator) else { continue }
        try settings.set(key, to: text)
      }
      #expect(try Settings(texts: settings.texts) == settings)
      let data = try JSONEncoder().encode(settings)
      #expect(try JSONDecoder().decode(Settings.self, from: data) == settings)
    }
  }

  @Test func decodingChecksEveryValue() {
    for json in [#"{"memory.max": "1X"}"#, #"{"memroy.max": "1G"}"#, #"{"pids.max": 64}"#] {
      #expect(throws: (any Error).self) {
        try JSONDecoder().decode(Settings.self, from: Data(json.utf8))
      }
    }
  }
}
