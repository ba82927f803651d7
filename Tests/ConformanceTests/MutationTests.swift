import SliceConformance
import SystemTestSupport
import Testing

/// Takes away one defence of a launch at a time: the suite must fail, in all cases that need that defence and in
/// none that doesn't name it.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/musl-gcc"), .serialized) struct MutationTests {
  static let mutations = [
    Mutation("call-filter", .callFilter),
    Mutation("argument-filter", .argumentFilter),
    Mutation("user-namespace", .userNamespace, .namespaceLimits),
    Mutation("host-ownership", .hostOwnership, .namespaceLimits, .readOnlyKernelFiles),
    Mutation("namespace-limits", .namespaceLimits, .readOnlyKernelFiles),
    Mutation("capabilities", .capabilities),
    Mutation("raw-capability", .capabilities),
    Mutation("no-new-privileges", .noNewPrivileges),
    Mutation("mount-attributes", .mountAttributes),
    Mutation("masks", .masks),
    Mutation("read-only-kernel-files", .readOnlyKernelFiles),
    Mutation("fresh-devices", .freshDevices, .deviceProgram),
    Mutation("ipc-namespace", .ipcNamespace),
    Mutation("hostname-namespace", .hostnameNamespace),
    Mutation("network-namespace", .networkNamespace),
    Mutation("cgroup-namespace", .cgroupNamespace),
    Mutation("process-limits", .processLimits),
    Mutation("closed-descriptors", .closedDescriptors, change: .sliceInit("closing.h")),
    Mutation("untraceable-init", .untraceableInit, change: .sliceInit("dumpable.h")),
  ]

  /// Of the cases that are one probe: all that a launch is responsible for.
  private static let selection = [
    "filter", "namespace", "capability", "masked", "unreadable", "read-only", "unwritable", "files",
    "mount", "device", "terminal", "process.first-*", "process.host-visible",
    "process.neighbour-visible", "process.signal", "descriptor.only-streams", "descriptor.chdir",
    "descriptor.directory", "ipc", "key.add", "key.keyring", "key.request", "key.quota", "system",
    "network", "identity.users", "identity.groups", "identity.become", "identity.give-away",
    "resource.core", "resource.raise-limit", "resource.oom-score", "resource.cgroup-path",
    "resource.own-limits", "resource.leave", "resource.neighbours",
  ]

  @Test func eachIsNoticedByTheCasesThatNameItAndByNoOthers() throws {
    let plain = try Verdicts(nil, Self.selection)
    #expect(plain.isGood, "\(plain.failed)")
    var noticed: [Defence: Set<String>] = [:]
    for mutation in Self.mutations {
      let found: Verdicts
      do {
        found = try Verdicts(mutation, Self.selection)
      } catch {
        Issue.record("\(mutation): \(error)")
        continue
      }
      mutation.judge(found)
      for defence in mutation.defences { noticed[defence, default: []].formUnion(found.failed) }
    }
    for (defence, failed) in noticed {
      // What the kernel here can't show it can't show without the defence either.
      let naming = Set(
        Catalogue.all.filter { $0.defences.contains(defence) && plain.passed.contains($0.id) }
          .map(\.id))
      #expect(
        naming.isSubset(of: failed),
        "\(defence): \(naming.subtracting(failed).sorted()) did not fail")
    }
  }

  /// Nobody can ask an installed sliced for a slice without a defence.
  @Test func releasesHaveNoMutations() throws {
    for program in ["sliced", "slicectl"] {
      let found = try Command.run(["grep", "-c", "SLICES_MUTATION", Host.programs + "/" + program])
      #expect(found.status == 1, "\(program): \(found)")
    }
    // The control: the build for the tests does have them.
    #expect(
      try Command.run(["grep", "-c", "SLICES_MUTATION", MutatedPrograms.supervisor]).status == 0)
  }
}
