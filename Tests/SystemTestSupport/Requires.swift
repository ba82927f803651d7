import Testing

/// Conditions of tests. A test that is skipped says which one does not hold.
extension Trait where Self == ConditionTrait {
  /// A supervisor of the test's own can be started.
  public static var requiresSlices: Self {
    .enabled(if: Host.canRunSlices, "\(Host.obstacle ?? "")")
  }

  public static var requiresRoot: Self { .enabled(if: Host.isRoot, "needs root") }

  public static func requiresController(_ name: String) -> Self {
    .enabled(
      if: Host.hasController(name), "this host has no cgroup v2 controller '\(name)' (the lab has)")
  }

  public static var requiresQuotas: Self {
    .enabled(if: Host.quotaObstacle == nil, "\(Host.quotaObstacle ?? "")")
  }

  public static func requiresProgram(_ path: String) -> Self {
    .enabled(if: HostFiles.exists(path), "needs \(path)")
  }
}
