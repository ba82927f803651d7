#if DEBUG
  import Glibc

  /// One defence that is left out, so that the tests can see whether the conformance suite notices
  /// (Tests/ConformanceTests). It exists in debug builds alone: no program that is installed has it.
  public enum Mutation: String, Sendable {
    // Steps of a launch: SliceKernel/Launch/LaunchMutation.swift.
    case noCallFilter = "call-filter"
    case noArgumentFilter = "argument-filter"
    case noUserNamespace = "user-namespace"
    case ownNamespace = "host-ownership"
    case noNamespaceLimits = "namespace-limits"
    case allCapabilities = "capabilities"
    case rawCapability = "raw-capability"
    case newPrivileges = "no-new-privileges"
    case plainMounts = "mount-attributes"
    case noMasks = "masks"
    case writableKernelFiles = "read-only-kernel-files"
    case memoryDevice = "fresh-devices"
    case sharedIPC = "ipc-namespace"
    case sharedHostname = "hostname-namespace"
    case sharedNetwork = "network-namespace"
    case sharedCgroups = "cgroup-namespace"
    case coreFiles = "process-limits"
    /// Links in an image are followed by who mounts there (CShims/launch/child.c).
    case followedLinks = "path-resolution"

    // What is written for a slice, and isn't.
    case noMemoryLimit = "memory-limit"
    case noProcessCount = "process-count"
    /// Of every other slice, by the last digit of its name.
    case lostWeight = "weight"
    case noQuota = "quota"
    /// What the kernel counts for the maker of user namespaces has the limits that the supervisor was started with.
    case sharedLimits = "shared-limits"

    /// Options of packet sockets by which their packets get past the policy.
    case rawOptions = "raw-options"

    /// No program for devices hangs on the slices' cgroup.
    case anyDevice = "device-program"

    // What the supervisor checks.
    case nobodysSlices = "owners"
    case everybodyAdministers = "administrators"
    case anyName = "names"
    case anyValue = "values"
    case anyStream = "streams"
    case longMessages = "message-size"
    case manyConnections = "connections"
    case callersTerminal = "terminals"

    // What the client does.
    case plainText = "escaping"
    case callersVariables = "environment"

    /// What the environment asks for. A word that means nothing ends the process: a test that mutates
    /// nothing would pass.
    public static let current: Mutation? = getenv("SLICES_MUTATION").map { text in
      let word = String(cString: text)
      guard let mutation = Mutation(rawValue: word) else { fatalError("no mutation '\(word)'") }
      return mutation
    }

    /// Whether a write to a file of a cgroup is left out.
    public static func omits(_ file: String, of cgroup: String) -> Bool {
      switch current {
      case .noMemoryLimit: file == "memory.max"
      case .noProcessCount: file == "pids.max"
      case .lostWeight:
        ["cpu.weight", "io.weight"].contains(file) && cgroup.utf8.last.map { $0 % 2 == 0 } ?? false
      default: false
      }
    }
  }
#endif
