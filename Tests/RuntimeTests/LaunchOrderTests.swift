import Descriptor
import Glibc
import SliceKernel
import SliceModel
import Testing

@testable import SliceRuntime

/// The steps of a launch, held against what Docs/launch-order.md argues: whoever changes one has to
/// change the other.
@Suite struct LaunchOrderTests {
  @Test func startIsAsDocumented() throws {
    #expect(try steps(of: startPlan()) == documented("Starting"))
  }

  @Test func enterIsAsDocumented() throws {
    #expect(try steps(of: enterPlan()) == documented("Entering"))
  }

  @Test func theBrokerStartsAsDocumented() throws {
    #expect(try steps(of: brokerPlan()) == documented("The broker"))
  }

  /// Only the first filter differs.
  @Test func rawSocketsChangeNothingButTheFilterThatAsks() throws {
    for (plain, asking) in [
      (try startPlan(), try startPlan(rawSockets: true)),
      (try enterPlan(), try enterPlan(rawSockets: true)),
    ] {
      var expected = steps(of: plain)
      let place = try #require(expected.firstIndex(of: "seccomp(network-service: arguments)"))
      expected[place] = "seccomp(network-service: arguments, with listener)"
      #expect(steps(of: asking) == expected)
    }
    let start = try startPlan(rawSockets: true)
    let words = start.arguments
    for (name, number) in [("--report", 7), ("--raw-state", 6), ("--listener", 9)] {
      let place = try #require(words.firstIndex(of: name))
      #expect(words[place + 1] == "\(number)", "\(name)")
    }
    #expect(RawSocketKeeper.stateNumber == 6 && RawSocketKeeper.listenerNumber == 9)
  }

  /// Whoever is in the slice's user namespace has no business with mounts or the host's namespaces.
  @Test func nothingPrivilegedFollowsTheUserNamespace() throws {
    for plan in [try startPlan(), try enterPlan(), try startPlan(rawSockets: true)] {
      let entry = try #require(
        plan.steps.firstIndex {
          if case .joinNamespace(_, .user) = $0 { true } else { false }
        })
      let rest = plan.steps[plan.steps.index(after: entry)...]
      for step in rest {
        switch step {
        case .becomeRoot, .restrictCapabilities, .forbidNewPrivileges, .filterSystemCalls,
          .filterWithListener:
          continue
        default: Issue.record("\(step) after the user namespace was entered")
        }
      }
    }
  }

  @Test func bothWaysInEndAlike() throws {
    let start = try steps(of: startPlan())
    let enter = try steps(of: enterPlan())
    #expect(start.suffix(8) == enter.suffix(8))
  }

  // MARK: - Plans

  private func confinement(rawSockets: Bool) throws -> Confinement {
    var settings = Settings()
    if rawSockets { try settings.set(.rawAllow, to: "icmp") }
    return try ConfinementCache(Confinement()).ofStart(settings).0
  }

  private static let takesListener: LaunchPlan.Listening = { (_, _) throws(SliceError) in }

  private func descriptor(_ label: String) throws -> SharedFD {
    SharedFD(try Files.open("/dev/null", O_RDWR), label: label)
  }

  private func startPlan(rawSockets: Bool = false) throws -> LaunchPlan {
    let any = try descriptor("any")
    let root = RootFileSystem(
      stage: "STAGE", image: try descriptor("image"), upper: "UPPER", work: "WORK",
      hostTrees: [(try descriptor("host's /usr"), "usr")],
      mounts: [TemporaryMount(target: "/var/cache", sizeBytes: 1 << 20)],
      range: IDRange(first: 0x5000_0000))
    return StartPlan(
      root: root, hostname: "NAME", network: try descriptor("network namespace"),
      userNamespace: try descriptor("user namespace"), cgroup: any,
      confinement: try confinement(rawSockets: rawSockets), sliceInit: any,
      service: ServiceInvocation(
        command: nil, environment: [], user: nil, workdir: nil, restart: .no),
      descriptors: ServiceDescriptors(
        null: any, control: any, log: any, status: any, rawState: rawSockets ? any : nil),
      listening: rawSockets ? Self.takesListener : nil
    ).plan
  }

  private func enterPlan(rawSockets: Bool = false) throws -> LaunchPlan {
    let any = try descriptor("any")
    return EnterPlan(
      slice: try NamespaceSet(of: PidFD(pid: getpid())), cgroup: any,
      confinement: try confinement(rawSockets: rawSockets), sliceInit: any,
      command: ServiceInvocation(
        command: nil, environment: [], user: nil, workdir: nil, restart: .no),
      streams: [any, any, any], terminal: false,
      listening: rawSockets ? Self.takesListener : nil
    ).plan
  }

  private func brokerPlan() throws -> LaunchPlan {
    let any = try descriptor("any")
    return BrokerPlan(
      stage: "STAGE", program: any, null: any, slice: try NamespaceSet(of: PidFD(pid: getpid())),
      cgroup: any, listener: any, control: any, requests: any, processes: any,
      state: any,
      capabilities: try CapabilitySet(names: ["CAP_IPC_LOCK", "CAP_NET_RAW", "CAP_SETPCAP"])
    ).plan
  }

  /// In words, without what depends on where the test runs.
  private func steps(of plan: LaunchPlan) -> [String] {
    plan.steps.map { step in
      let text = "\(step)"
      guard text.hasPrefix("prlimit("), !text.hasPrefix("prlimit(RLIMIT_CORE") else { return text }
      return text.prefix { $0 != "," } + ", …)"
    }
  }

  /// The indented lines of a section.
  private func documented(_ section: String) throws -> [String] {
    let text = try Files.readText(
      #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
        + "/Docs/launch-order.md")
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0 == "## \(section)" })
    return lines[(start + 1)...].prefix { !$0.hasPrefix("## ") }
      .filter { $0.hasPrefix("    ") }.map { String($0.dropFirst(4)) }
  }
}
