import CLaunch
import Descriptor
import SliceModel

/// A launch as data: everything that is decided before the child exists.
public struct LaunchPlan: Sendable {
  /// Made new for the child, at its birth.
  public var namespaces: Namespaces
  /// The cgroup that it is born into; nil: the caller's.
  public var cgroup: SharedFD?
  /// The PID namespace that it is born into; nil: the caller's, or a new one by `namespaces`.
  public var pidNamespace: SharedFD?
  public var steps: [LaunchStep]
  /// The child's descriptors 0, 1, 2 and so on; no other stays open.
  public var descriptors: [SharedFD]
  /// Executed at the end, by descriptor.
  public var executable: SharedFD
  public var arguments: [String]
  public var environment: [String]
  /// Whether the executable gets the report pipe, as number `descriptors.count`, to report its own
  /// steps with (slice-init does).
  public var reportIsInherited: Bool
  /// Takes the listener of `.filterWithListener`, while the child, whose pid this is, waits.
  public var listening: Listening?

  public typealias Listening = @Sendable (SharedFD, Int32) throws(SliceError) -> Void

  /// The number that the child's first descriptor beyond those of the plan gets: behind them come the
  /// report pipe and the executable.
  public static func firstFreeDescriptor(behind count: Int) -> Int { count + 2 }

  public init(
    namespaces: Namespaces = [], cgroup: SharedFD? = nil, pidNamespace: SharedFD? = nil,
    steps: [LaunchStep], descriptors: [SharedFD], executable: SharedFD, arguments: [String],
    environment: [String], reportIsInherited: Bool, listening: Listening? = nil
  ) {
    self.namespaces = namespaces
    self.cgroup = cgroup
    self.pidNamespace = pidNamespace
    self.steps = steps
    self.descriptors = descriptors
    self.executable = executable
    self.arguments = arguments
    self.environment = environment
    self.reportIsInherited = reportIsInherited
    self.listening = listening
  }
}

/// A launch that did not end in a running program: at which step, and why.
public struct LaunchFailure: Error, Sendable {
  public enum Place: Sendable, Hashable {
    /// The parent's own calls around clone3(2).
    case parent
    /// Step `number` of `count`, from 1.
    case step(String, number: Int, count: Int)
    /// Arranging the child's descriptors.
    case descriptors
    /// Executing slice-init itself.
    case execution
    /// Giving the filter's listener away.
    case listener(SliceError?)
    /// A step of slice-init, inside the slice: enum slice_stage of slice_report.h.
    case initStage(UInt32)
  }
  public var place: Place
  /// errno
  public var code: Int32
}

extension LaunchFailure: CustomStringConvertible {
  public var description: String {
    let reason = SystemError(code: code, operation: "", subject: nil)
    let why = "\(reason.name): \(reason.explanation)"
    return switch place {
    case .parent: "clone3: \(why)"
    case .step(let text, let number, let count): "\(text): \(why) at step \(number) of \(count)"
    case .descriptors: "arranging descriptors: \(why)"
    case .execution: "execveat(slice-init): \(why)"
    case .listener(let error): error.map { "\($0)" } ?? "taking the filter's listener: \(why)"
    case .initStage(let stage): "slice-init, stage \(stage): \(why)"
    }
  }
}

extension LaunchPlan {
  /// Runs the plan; returns the process once the program was executed.
  ///
  /// Blocks meanwhile, for `timeout` milliseconds at most. On failure nothing of it lives on.
  public func run(timeout: Int32 = 30_000) throws(LaunchFailure) -> PidFD {
    #if DEBUG
      let compiled = CompiledPlan(Mutation.applied(to: self))
    #else
      let compiled = CompiledPlan(self)
    #endif
    var result = launch_result()
    let error = compiled.run(timeout: timeout, result: &result)
    guard error == 0 else {
      var place = place(of: result)
      if case .listener = place { place = .listener(compiled.listeningError) }
      throw LaunchFailure(place: place, code: error)
    }
    return PidFD(pid: result.pid, adopting: OwnedFD(adopting: result.pidfd))
  }

  private func place(of result: launch_result) -> LaunchFailure.Place {
    let stagePlan: UInt32 = 1  // SLICE_STAGE_PLAN of slice_report.h
    switch (result.stage, result.index) {
    case (0, _): return .parent
    case (stagePlan, UInt32(LAUNCH_INDEX_EXEC)): return .execution
    case (stagePlan, let index) where index < UInt32(steps.count):
      return .step(steps[Int(index)].description, number: Int(index) + 1, count: steps.count)
    case (stagePlan, _): return .descriptors
    case (2 /* SLICE_STAGE_LISTENER */, _): return .listener(nil)
    case (let stage, _): return .initStage(stage)
    }
  }
}
