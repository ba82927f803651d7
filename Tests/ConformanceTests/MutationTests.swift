import Glibc
import SliceConformance
import SliceModel
import SystemTestSupport
import Testing

/// Takes away one defence at a time: the suite must fail, in all cases that need that defence and in none that
/// doesn't name it.
///
/// Most are steps that a debug build of sliced leaves out (SliceKernel/Launch/Mutation.swift); some are a
/// slice-init that was compiled with one definition changed.
@Suite(.requiresSlices, .requiresProgram("/usr/bin/musl-gcc"), .serialized) struct MutationTests {
  struct Mutation: Sendable, CustomStringConvertible {
    let name: String
    /// Without these, because one can't be had without another.
    var defences: [Defence]
    var initHeader: String?
    var description: String { name }

    init(_ name: String, _ defences: Defence..., initHeader: String? = nil) {
      self.name = name
      self.defences = defences
      self.initHeader = initHeader
    }
  }

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
    Mutation("fresh-devices", .freshDevices),
    Mutation("ipc-namespace", .ipcNamespace),
    Mutation("hostname-namespace", .hostnameNamespace),
    Mutation("network-namespace", .networkNamespace),
    Mutation("cgroup-namespace", .cgroupNamespace),
    Mutation("process-limits", .processLimits),
    Mutation("closed-descriptors", .closedDescriptors, initHeader: "closing.h"),
    Mutation("untraceable-init", .untraceableInit, initHeader: "dumpable.h"),
  ]

  /// Of the cases that are one probe: all that a launch is responsible for.
  private static let selection = [
    "filter", "namespace", "capability", "masked", "unreadable", "read-only", "unwritable", "files",
    "mount",
    "device", "terminal", "process.first-*", "process.host-visible", "process.neighbour-visible",
    "process.signal", "descriptor.only-streams", "descriptor.chdir", "descriptor.directory", "ipc",
    "key",
    "system", "network", "identity.users", "identity.groups", "identity.become",
    "identity.give-away",
    "resource.core", "resource.raise-limit", "resource.oom-score", "resource.cgroup-path",
    "resource.own-limits", "resource.leave", "resource.neighbours",
  ]

  @Test func eachIsNoticedByTheCasesThatNameItAndByNoOthers() throws {
    let plain = try verdicts(nil)
    #expect(plain.values.allSatisfy { $0 == "pass" || $0 == "skip" }, "\(plain)")
    var noticed: [Defence: Set<String>] = [:]
    for mutation in Self.mutations {
      let found: [String: String]
      do {
        found = try verdicts(mutation)
      } catch {
        Issue.record("\(mutation): \(error)")
        continue
      }
      let failed = Set(found.filter { $0.value == "fail" }.keys)
      // Where it is one of several locks, it depends on the kernel whether the others hold.
      let naming = Set(
        Catalogue.all.filter { !Set($0.defences + $0.depth).isDisjoint(with: mutation.defences) }
          .map(\.id))
      #expect(!failed.isEmpty, "nothing failed without \(mutation)")
      let others = failed.subtracting(naming).sorted()
      #expect(others.isEmpty, "\(mutation): \(others) failed and don't name it")
      for defence in mutation.defences { noticed[defence, default: []].formUnion(failed) }
    }
    for (defence, failed) in noticed {
      // What the kernel here can't show it can't show without the defence either.
      let naming = Set(
        Catalogue.all.filter { $0.defences.contains(defence) && plain[$0.id] == "pass" }.map(\.id))
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
    #expect(try Command.run(["grep", "-c", "SLICES_MUTATION", Self.mutant]).status == 0)
  }

  private static let mutant = Host.packageDirectory + "/.build/debug/sliced"

  private func verdicts(_ mutation: Mutation?) throws -> [String: String] {
    var options = TestNode.Options()
    var programs = Host.programs
    var variable: [String] = []
    if let header = mutation?.initHeader {
      programs = try Self.mutatedPrograms(header)
    } else if let mutation {
      variable = ["SLICES_MUTATION=\(mutation.name)"]
    }
    // Takes the place of the sliced that the node would run.
    options.wrapper =
      ["env"] + variable + [
        "sh", "-c",
        "program=$1 directory=$2; shift 3; exec \"$program\" \"$@\" --programs \"$directory\"",
        "sh",
        Self.mutant, programs,
      ]
    let node = try TestNode(options)
    defer {
      node.remove()
      if programs != Host.programs { _ = try? Command.run(["rm", "-rf", programs]) }
    }
    let result = try node.slicectl(
      ["conformance", "--format", "json"] + Self.selection.flatMap { ["--only", $0] }, timeout: 200)
    guard let cases = try? JSONValue(parsing: result.outputBytes)["cases"].array, !cases.isEmpty
    else {
      throw HarnessError("\(mutation?.name ?? "plain"): \(result)\n\(node.log)")
    }
    var verdicts: [String: String] = [:]
    for one in cases { verdicts[one["id"].string ?? ""] = one["verdict"].string }
    let errors = cases.filter { $0["verdict"].string == "error" }
    #expect(errors.isEmpty, "\(mutation?.name ?? "plain"): \(errors)")
    return verdicts
  }

  /// The programs beside sliced, with a slice-init that was compiled with `header` before it.
  private static func mutatedPrograms(_ header: String) throws -> String {
    let directory = "/tmp/slices-mutant.\(getpid()).\(header)"
    let musl = "/usr/lib/x86_64-linux-musl"
    let made = try Command.run([
      "sh", "-ec",
      """
      mkdir '\(directory)' && cp '\(Host.programs)'/* '\(directory)/' && cd '\(Host.packageDirectory)'
      rm '\(directory)/slice-init'
      musl-gcc -std=gnu11 -Os -fPIE -ICShims/protocol -static -nostartfiles -Wl,-pie,--no-dynamic-linker \
        -include Tests/ConformanceTests/\(header) \(musl)/rcrt1.o \(musl)/crti.o CShims/init/*.c \(musl)/crtn.o \
        -o '\(directory)/slice-init'
      chmod \(header == "dumpable.h" ? 755 : 711) '\(directory)/slice-init'
      """,
    ])
    guard made.status == 0 else { throw HarnessError("a slice-init with \(header): \(made)") }
    return directory
  }
}
