import Glibc
import SliceKernel
import SliceModel
import Testing

@testable import SliceRuntime

/// What else than steps a plan decides.
@Suite struct PlanTests {
  @Test func aStartHasItsOwnNamespacesAndNoStreams() throws {
    let plan = try ExamplePlans.start()
    #expect(plan.namespaces == [.mount, .pid, .uts, .ipc])
    #expect(plan.cgroup?.label == "cgroup")
    #expect(plan.pidNamespace == nil)
    #expect(
      plan.descriptors.map(\.label) == [
        "/dev/null", "/dev/null", "/dev/null", "control socket", "log directory", "status file",
      ])
    #expect(plan.reportIsInherited)
    #expect(
      plan.arguments == [
        "slice-init", "start", "--report", "6", "--control", "3", "--log", "4", "--status", "5",
        "--log-size", "\(10 << 20)", "--log-files", "5", "--restart", "always", "--stop-timeout",
        "10000", "--user", "www", "--workdir", "/srv", "--", "nginx", "-g", "daemon off;",
      ])
    #expect(plan.environment == ["PATH=/bin"])
  }

  @Test func enteringJoinsAndMakesNothing() throws {
    let plan = try ExamplePlans.enter()
    #expect(plan.namespaces == [])
    #expect(plan.pidNamespace?.label == "pid namespace")
    #expect(plan.descriptors.map(\.label) == ["input", "output", "errors"])
    #expect(plan.arguments.prefix(4) == ["slice-init", "run", "--report", "3"])
    #expect(!plan.arguments.contains("--terminal"))
    #expect(try ExamplePlans.enter(terminal: true).arguments.contains("--terminal"))
  }

  @Test func withoutHostTreesNothingOfTheHostIsShown() throws {
    let steps = try ExamplePlans.start(hostTrees: []).steps.map(\.description)
    #expect(!steps.contains { $0.contains("host's") })
    let shown = try ExamplePlans.start(hostTrees: ["usr", "bin"]).steps.map(\.description)
    #expect(shown.filter { $0.contains("host's") }.count == 2)
  }

  @Test func aTemporaryMountMakesItsPath() throws {
    let steps = try ExamplePlans.start(
      mounts: [TemporaryMount(target: "/var/cache/x", sizeBytes: 4096)]
    ).steps.map(\.description)
    let first = try #require(steps.firstIndex(of: "mkdir(/var, 0755)"))
    #expect(steps[first + 1] == "mkdir(/var/cache, 0755)")
    #expect(steps[first + 2] == "mkdir(/var/cache/x, 0755)")
    #expect(steps[first + 3].contains("size=4096"))
    #expect(steps[first + 3].contains("on /var/cache/x"))
  }

  @Test func noCapabilityOverTheHostIsLeft() throws {
    let names = Confinement.capabilityNames
    for name in ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "MKNOD", "SYS_MODULE", "BPF"] {
      #expect(!names.contains("CAP_" + name))
    }
    #expect(Set(names).count == names.count)
  }

  /// What the order must never lose, said once more than in the document.
  @Test func theOrderHoldsWhatSecurityRestsOn() throws {
    let steps = try ExamplePlans.start(mounts: [TemporaryMount(target: "/cache", sizeBytes: nil)])
      .steps.map(\.description)
    func index(_ prefix: String) throws -> Int {
      try #require(steps.firstIndex { $0.hasPrefix(prefix) }, "\(prefix)")
    }
    let user = try index("setns(user")
    let pivot = try index("pivot_root")
    #expect(try index("mount_setattr(/, recursive, private)") < index("mount("))
    #expect(try index("setns(network") < index("mount(sysfs"))
    #expect(try index("unshare(cgroup)") < index("mount(cgroup2"))
    #expect(pivot < user, "mounts belong to the host's user namespace")
    #expect(steps.lastIndex { $0.hasPrefix("mount(") || $0.hasPrefix("mask(") }! < pivot)
    #expect(try user < index("setgroups"))
    #expect(try index("setgroups") < index("capset"))
    #expect(try index("capset") < index("prctl(PR_SET_NO_NEW_PRIVS)"))
    #expect(try index("prctl(PR_SET_NO_NEW_PRIVS)") < index("seccomp"))
    #expect(steps.last?.hasPrefix("seccomp") == true)
    #expect(
      steps.filter { $0.hasPrefix("prlimit") }.count == 2 + SharedLimits.ofSlices.count,
      "core files and descriptors, and what the kernel counts for all slices together")
  }
}
