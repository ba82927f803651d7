import SliceModel
import Testing

@Suite struct KeyTests {
  /// The table of slicectl(1).
  @Test func areTheKeysOfTheCommandLine() {
    #expect(
      Set(Key.allCases.map(\.rawValue)) == [
        "cpu.weight", "cpu.max", "cpu.set", "memory.min", "memory.low", "memory.high", "memory.max",
        "memory.swap.max", "pids.max", "io.weight", "io.read.max", "io.write.max",
        "io.read.iops.max",
        "io.write.iops.max", "disk.max", "disk.files.max", "net.weight", "net.min", "net.max",
        "net.in.max", "net.mode", "net.allow", "net.publish", "net.ports", "raw.allow", "lease",
        "grant.observe",
        "grant.nest", "grant.net-admin", "seccomp.profile", "seccomp.refuse", "seccomp.allow",
        "seccomp.sockets", "seccomp.log",
      ])
  }

  @Test(arguments: Key.allCases) func parsesItsName(key: Key) throws {
    #expect(try Key(parsing: key.rawValue) == key)
    #expect(!key.form.expectation.isEmpty)
  }

  /// A value that every form accepts, by key: through text and back.
  @Test(arguments: Key.allCases) func valueComesBack(key: Key) throws {
    for sample in samples(key) {
      var settings = Settings()
      try settings.set(key, to: sample)
      #expect(settings.keys == [key])
      let text = try #require(settings.texts[key.rawValue])
      #expect(try Settings(texts: [key.rawValue: text]) == settings)
    }
  }

  @Test(arguments: Key.allCases) func refusesGarbage(key: Key) {
    var texts = ["\u{1B}[31m", "٣", "１", "-1", "1e3", "\u{0}", " ", "99999999999999999999999"]
    if key.form == .list { texts = [",", "a,,b", ",a", "a,"] }
    for text in texts {
      var settings = Settings()
      let error = #expect(throws: SliceError.self) { try settings.set(key, to: text) }
      #expect(error?.code == .usage)
      #expect(error?.message.contains(key.rawValue) == true)
      #expect(error?.message.contains("\u{1B}") == false)
      #expect(error?.hint?.contains(key.form.expectation) == true)
      #expect(settings == Settings())
    }
  }

  @Test(arguments: Key.allCases) func keepsItsBounds(key: Key) {
    let bounds: (good: [String], bad: [String]) =
      switch key.form {
      case .count(let range), .bytes(let range):
        (
          ["\(range.lowerBound)", "\(range.upperBound)"],
          (range.lowerBound > 0 ? ["\(range.lowerBound - 1)"] : []) + ["\(range.upperBound + 1)"]
        )
      case .cpu(let range):
        (
          ["\(range.lowerBound)m", "\(range.upperBound)m"],
          ["\(range.lowerBound - 1)m", "\(range.upperBound + 1)m"]
        )
      case .rate(let range):
        (
          ["\(range.lowerBound)", "\(range.upperBound)"],
          ["0", "\(range.lowerBound - 1)", "\(range.upperBound + 1)", "9223372037G"]
        )
      case .time: (["1ms"], ["0", "0s"])
      case .processors: (["8191"], ["8192"])
      case .word(let words): (words, words.map { $0.uppercased() } + ["x" + words[0]])
      case .list where key == .netPublish: (["1:65535"], ["0:1", "1:65536"])
      case .list where key == .rawAllow: (["icmp", "udp:1-65535,tun"], ["a", "icmp,", "udp:0"])
      case .list: (["a", "a,b"], ["a,"])
      case .ports: (["1", "65535"], ["0", "65536", "9-8", "1-2-3", "1,", "1,1", "1-5,5"])
      case .flag: (["true", "false"], ["yes", "1", "True", "on"])
      }
    for text in bounds.good {
      var settings = Settings()
      #expect(throws: Never.self) { try settings.set(key, to: text) }
    }
    for text in bounds.bad {
      var settings = Settings()
      #expect(throws: SliceError.self) { try settings.set(key, to: text) }
    }
  }

  @Test func limitsAreTheDocumentedOnes() {
    #expect(Key.cpuWeight.form == .count(1...10_000))
    #expect(Key.pidsMax.form == .count(2...4_194_304))
    #expect(Key.netMode.form == .word(NetworkMode.allCases.map(\.rawValue)))
  }

  @Test func enforcersAreControllersOfCgroup2() {
    for key in Key.allCases {
      if case .controller(let name) = key.enforcer {
        #expect(["cpu", "cpuset", "memory", "pids", "io"].contains(name))
      }
    }
    #expect(Key.cpuSet.enforcer == .controller("cpuset"))
    #expect(Key.memorySwapMax.enforcer == .controller("memory"))
    #expect(!Key.netMode.isChangeable)
  }

  @Test(arguments: [
    ("memory.maxx", "memory.swap.max"), ("cpu.", "cpu.weight"), ("lease.x", "slice.toml(5)"),
    ("MEMORY.MAX", "slice.toml(5)"), ("", "slice.toml(5)"), ("cpu.weight ", "cpu.set"),
  ])
  func unknownKeysAreRefusedWithAHint(text: String, hint: String) {
    let error = #expect(throws: SliceError.self) { try Key(parsing: text) }
    #expect(error?.code == .usage)
    #expect(error?.hint?.contains(hint) == true)
  }

  private func samples(_ key: Key) -> [String] {
    switch key.form {
    case .count(let range): ["\(range.lowerBound)", "\(range.upperBound)", "100"]
    case .bytes(let range): ["\(range.lowerBound)", "\(range.upperBound)", "256M", "1.5G"]
    case .rate(let range): ["\(range.lowerBound)", "\(range.upperBound)", "100M", "1.5G"]
    case .cpu: ["150%", "1.5", "1234m"]
    case .processors: ["0", "0-3,8", "3,1,2"]
    case .time: ["30", "1.5h", "7d", "1ms"]
    case .word(let words): words
    case .list where key == .netPublish: ["8080:80", "8080:80/tcp,53-54:1053-1054/udp"]
    case .list: ["icmp", "udp:33434-33534,tun"]
    case .ports: ["443", "20000-20099,443", "7,8"]
    case .flag: ["true", "false"]
    }
  }
}
