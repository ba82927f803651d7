#if DEBUG
  import SliceModel

  /// Launches of slices with one step missing.
  extension Mutation {
    /// The plan as it is to be run. Only those of slices are changed, not the unpacker's.
    static func applied(to plan: LaunchPlan) -> LaunchPlan {
      let isOfSlice = plan.steps.contains {
        switch $0 {
        case .filterSystemCalls(let program), .filterWithListener(let program, _):
          program.name.hasPrefix("network-service")
        default: false
        }
      }
      guard let current, isOfSlice else { return plan }
      var changed = plan
      current.apply(to: &changed)
      return changed
    }

    private func apply(to plan: inout LaunchPlan) {
      switch self {
      case .noCallFilter: removeFilter("calls", &plan)
      case .noArgumentFilter: removeFilter("arguments", &plan)
      case .noUserNamespace: removeJoin(.user, &plan)
      case .ownNamespace:
        liftNamespaceLimits(&plan)
        // Owned by the slice, as every namespace would be if the user namespace came first.
        insert([.newNamespace(.uts)], &plan) { if case .becomeRoot = $0 { true } else { false } }
      case .noNamespaceLimits: liftNamespaceLimits(&plan)
      case .allCapabilities:
        plan.steps.removeAll { if case .restrictCapabilities = $0 { true } else { false } }
      case .rawCapability:
        plan.steps = plan.steps.map { step in
          guard case .restrictCapabilities(let set) = step else { return step }
          return .restrictCapabilities(CapabilitySet(mask: set.mask | 1 << 13 /* CAP_NET_RAW */))
        }
      case .newPrivileges: allowNewPrivileges(&plan)
      case .plainMounts:
        plan.steps = plan.steps.map { step in
          switch step {
          case .mount(var fileSystem, let target, let ifPresent)
          where fileSystem.type == "tmpfs" && !target.hasPrefix("dev"):
            fileSystem.attributes = []
            return .mount(fileSystem, on: target, ifPresent: ifPresent)
          default: return step
          }
        }
      case .noMasks:
        plan.steps.removeAll { step in
          switch step {
          case .maskFile, .maskDirectory: true
          default: false
          }
        }
      case .writableKernelFiles:
        plan.steps = plan.steps.compactMap { step in
          switch step {
          case .remount: return nil
          case .mount(var fileSystem, let target, let ifPresent) where fileSystem.type == "sysfs":
            fileSystem.attributes.remove(.readOnly)
            return .mount(fileSystem, on: target, ifPresent: ifPresent)
          default: return step
          }
        }
      case .memoryDevice:
        insert([.makeDevice("dev/kmsg", major: 1, minor: 11, mode: 0o666)], &plan) {
          if case .makeDevice("dev/null", _, _, _) = $0 { true } else { false }
        }
      case .sharedIPC: plan.namespaces.remove(.ipc)
      case .sharedHostname:
        plan.namespaces.remove(.uts)
        plan.steps.removeAll { if case .setHostname = $0 { true } else { false } }
      case .sharedNetwork: removeJoin(.network, &plan)
      case .sharedCgroups:
        plan.steps.removeAll { if case .newNamespace(.cgroup) = $0 { true } else { false } }
        removeJoin(.cgroup, &plan)
      case .coreFiles:
        plan.steps.removeAll {
          if case .limit(let limit) = $0 { limit.name == "RLIMIT_CORE" } else { false }
        }
      default: break  // no step of a launch
      }
    }

    private func removeFilter(_ part: String, _ plan: inout LaunchPlan) {
      plan.steps.removeAll {
        switch $0 {
        case .filterSystemCalls(let program), .filterWithListener(let program, _):
          program.name.hasSuffix(part)
        default: false
        }
      }
    }

    private func removeJoin(_ kind: Namespaces, _ plan: inout LaunchPlan) {
      plan.steps.removeAll { if case .joinNamespace(_, kind) = $0 { true } else { false } }
    }

    private func insert(
      _ steps: [LaunchStep], _ plan: inout LaunchPlan, before isPlace: (LaunchStep) -> Bool
    ) {
      guard let place = plan.steps.firstIndex(where: isPlace) else { return }
      plan.steps.insert(contentsOf: steps, at: place)
    }

    /// The user namespace is made with limits of 0; root of it may raise them where /proc/sys can be written.
    private func liftNamespaceLimits(_ plan: inout LaunchPlan) {
      plan.steps.removeAll { if case .remount("proc/sys", _) = $0 { true } else { false } }
      // Only in a start: what is entered later is in the same user namespace.
      guard plan.namespaces.contains(.mount) else { return }
      let files = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"]
      insert(files.map { .write("100", to: "/proc/sys/user/max_\($0)_namespaces") }, &plan) {
        if case .becomeRoot = $0 { true } else { false }
      }
    }

    /// Without no_new_privs a filter takes CAP_SYS_ADMIN in the user namespace, so it is loaded before that
    /// is given up.
    private func allowNewPrivileges(_ plan: inout LaunchPlan) {
      func isFilter(_ step: LaunchStep) -> Bool {
        switch step {
        case .filterSystemCalls, .filterWithListener: true
        default: false
        }
      }
      let filters = plan.steps.filter(isFilter)
      plan.steps.removeAll {
        if case .forbidNewPrivileges = $0 { return true }
        return isFilter($0)
      }
      insert(filters, &plan) { if case .restrictCapabilities = $0 { true } else { false } }
    }
  }
#endif
