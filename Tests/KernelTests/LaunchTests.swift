import Descriptor
import Glibc
import SliceModel
import SystemTestSupport
import Testing

@testable import SliceKernel

/// Launches of a small program, and failures at chosen steps.
@Suite(.requiresRoot, .serialized) struct LaunchTests {
  private func file(_ path: String, _ flags: Int32 = O_RDWR) throws(SystemError) -> SharedFD {
    SharedFD(try Files.open(path, flags), label: path)
  }

  private func plan(
    _ steps: [LaunchStep], namespaces: Namespaces = [.mount, .pid, .uts, .ipc],
    output: String = "/dev/null", executable: String = "/bin/sh", script: String = "exit 0"
  ) throws -> LaunchPlan {
    let null = try file("/dev/null")
    return LaunchPlan(
      namespaces: namespaces, steps: steps, descriptors: [null, try file(output), null],
      executable: try file(executable, O_RDONLY), arguments: ["sh", "-c", script],
      environment: ["PATH=/bin:/usr/bin"], reportIsInherited: false)
  }

  private func openDescriptors() -> Int { HostFiles.list("/proc/self/fd").count }

  /// Whether no child is left that never became another program. Other tests of this process start
  /// programs too, which are such children for a moment.
  private func noChildIsLeft() -> Bool {
    let name = HostFiles.text("/proc/self/comm")
    return eventually {
      !ProcessTable.children(of: getpid()).contains { HostFiles.text("/proc/\($0)/comm") == name }
    }
  }

  private func mountsOnTmp() -> [String] {
    HostFiles.lines("/proc/self/mountinfo").filter { $0.split(separator: " ")[4] == "/tmp" }
  }

  @Test func aLaunchRunsTheProgram() throws {
    let process = try plan([.newSession, .makeMountsPrivate], script: "exit 23").run()
    #expect(try process.wait() == .exited(23))
  }

  @Test func onlyTheDescriptorsOfThePlanAreOpen() throws {
    let directory = try TemporaryDirectory()
    try HostFiles.write("", to: directory["out"])
    let process = try plan([], output: directory["out"], script: "exec ls /proc/self/fd").run()
    #expect(try process.wait() == .exited(0))
    // ls has the directory itself open as 3.
    #expect(HostFiles.text(directory["out"]) == "0\n1\n2\n3\n")
  }

  @Test func aLimitBelowWhatTheParentHoldsIsNoObstacle() throws {
    // As a supervisor of many slices: all low numbers taken, and those of the plan high.
    let held = try (0..<200).map { _ in try file("/dev/null") }
    defer { withExtendedLifetime(held) {} }
    let limit = ResourceLimit(
      name: "NOFILE", resource: Int32(RLIMIT_NOFILE.rawValue), soft: 64, hard: 64)
    let process = try plan([.limit(limit), .forbidNewPrivileges], script: "exit 23").run()
    #expect(try process.wait() == .exited(23))
  }

  @Test func limitsAndHostnameAreSet() throws {
    let directory = try TemporaryDirectory()
    try HostFiles.write("", to: directory["out"])
    let process = try plan(
      [
        .setHostname("test-host"),
        .limit(
          ResourceLimit(name: "NOFILE", resource: Int32(RLIMIT_NOFILE.rawValue), soft: 77, hard: 88)
        ),
        .forbidNewPrivileges,
      ], output: directory["out"],
      script: "uname -n; ulimit -Sn; ulimit -Hn; grep NoNewPrivs /proc/self/status"
    ).run()
    #expect(try process.wait() == .exited(0))
    #expect(HostFiles.text(directory["out"]) == "test-host\n77\n88\nNoNewPrivs:\t1\n")
  }

  /// A step that fails, with the errno that it must give.
  static let failures: [(step: LaunchStep, code: Int32)] = [
    (.mountOnHost(FileSystem("tmpfs"), at: "/no/such/place"), ENOENT),
    (.mountOnHost(FileSystem("nosuchfs"), at: "/tmp"), ENODEV),
    (.mountOnHost(FileSystem("tmpfs", [.init("nonsense", "1")]), at: "/tmp"), EINVAL),
    (.setRoot("/no/such/root"), ENOENT),
    (.makeHostDirectory("/proc/x", mode: 0o755), ENOENT),
    (.setHostname(String(repeating: "x", count: 200)), EINVAL),
    (.write("1", to: "/no/such/file"), ENOENT),
    (.limit(ResourceLimit(name: "NONE", resource: 9999, soft: 1, hard: 1)), EINVAL),
  ]

  @Test(arguments: 0..<failures.count) func aFailedStepIsNamedAndLeavesNothing(_ number: Int) throws
  {
    let (step, code) = Self.failures[number]
    let plan = try plan([.newSession, .makeMountsPrivate, step, .newSession])
    let (descriptors, mounts) = (openDescriptors(), mountsOnTmp())
    // Often enough to stand out from what other tests open meanwhile.
    for _ in 0..<100 {
      let error = #expect(throws: LaunchFailure.self) { try plan.run() }
      #expect(error?.place == .step(step.description, number: 3, count: 4))
      #expect(error?.code == code, "\(String(describing: error))")
      #expect(error.map { "\($0)".contains("at step 3 of 4") } == true)
    }
    #expect(openDescriptors() < descriptors + 100)
    #expect(mountsOnTmp() == mounts)
    #expect(noChildIsLeft())
  }

  @Test func everyPlaceOfAFailureIsFound() throws {
    for count in [1, 5, 20] {
      for failing in [0, count / 2, count - 1] {
        var steps = [LaunchStep](repeating: .makeMountsPrivate, count: count)
        steps[failing] = .setRoot("/no/such/root")
        let error = #expect(throws: LaunchFailure.self) { try plan(steps).run() }
        #expect(
          error?.place
            == .step("open(new root /no/such/root)", number: failing + 1, count: count))
      }
    }
  }

  @Test func aProgramThatCannotRunIsNoStep() throws {
    let error = #expect(throws: LaunchFailure.self) {
      try plan([], executable: "/etc/passwd").run()
    }
    #expect(error?.place == .execution)
    #expect(error?.code == EACCES)
  }

  @Test func aCgroupThatIsNoneFailsInTheParent() throws {
    var plan = try plan([])
    plan.cgroup = try file("/dev/null")
    let error = #expect(throws: LaunchFailure.self) { try plan.run() }
    #expect(error?.place == .parent)
    #expect(error?.code == EBADF)
  }

  @Test func aChildThatHangsIsKilledInTime() throws {
    let directory = try TemporaryDirectory()
    mkfifo(directory["fifo"], 0o600)
    let began = MonotonicTime.now
    let error = #expect(throws: LaunchFailure.self) {
      // Opening a fifo that nobody reads blocks.
      try plan([.write("x", to: directory["fifo"])]).run(timeout: 300)
    }
    #expect(error?.code == ETIMEDOUT)
    #expect(MonotonicTime.now - began < 5)
    #expect(noChildIsLeft())
  }

  @Test func manyLaunchesLeaveNothing() throws {
    let plan = try plan([.makeMountsPrivate], executable: "/bin/true")
    let before = openDescriptors()
    for _ in 0..<200 { #expect(try plan.run().wait() == .exited(0)) }
    #expect(openDescriptors() < before + 200)
    #expect(noChildIsLeft())
  }
}
