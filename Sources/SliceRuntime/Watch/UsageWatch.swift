import CKernel
import Descriptor
import SliceKernel
import SliceModel
import Synchronization

/// Looks at all running slices every few seconds: how much they use, and what has gone on for long.
final class UsageWatch: Sendable {
  /// Seconds between two looks.
  static let interval: UInt32 = 5
  /// What is "for long", nanoseconds.
  private static let long: UInt64 = 30_000_000_000

  /// What a slice's owner should know of.
  enum Finding: Sendable, Hashable {
    /// Its processor ceiling, or memory.high, has held it back for long.
    case throttled(Key)
    /// pids.max has refused it processes. Told once until it ceases.
    case processesRefused
    /// Its storage is full, or as good as. Told once until there is room again.
    case storageFull(Key)
  }

  private struct Observation {
    var last: UsageSample
    var cores: Double?
    var processor = Persistence()
    var memory = Persistence()
    var processes = Persistence()
    var bytes = Persistence()
    var files = Persistence()
  }
  private let observations = Mutex<[SliceName: Observation]>([:])

  /// Calls `look` every `interval`, on a thread of its own, for the life of this process.
  func start(_ look: @escaping @Sendable () -> Void) throws(SliceError) {
    try reporting("start a thread") { () throws(SystemError) in
      try SystemThread.start(name: "usage-watch", stackSize: 256 << 10) {
        while true {
          kernel_sleep(Self.interval)
          look()
        }
      }
    }
  }

  /// Processors used of late; nil before the second look.
  func recentCores(_ name: SliceName) -> Double? {
    observations.withLock { $0[name]?.cores }
  }

  /// Forgets all but these.
  func keep(_ names: Set<SliceName>) {
    observations.withLock { $0 = $0.filter { names.contains($0.key) } }
  }

  /// Takes a slice's newest counts. Returns what is new to tell of it.
  ///
  /// - Parameter storage: what it stores and may store; nil where nothing counts it.
  func observe(
    _ name: SliceName, _ sample: UsageSample, storage: ProjectQuotas.Account?
  ) -> [Finding] {
    observations.withLock { all in
      // Counts that went back are those of a new run.
      guard var entry = all[name], sample.usage >= entry.last.usage else {
        all[name] = Observation(last: sample)
        return []
      }
      let earlier = entry.last
      entry.cores = sample.cores(since: earlier)
      entry.last = sample
      var findings: [Finding] = []
      func tell(
        _ finding: Finding, _ state: WritableKeyPath<Observation, Persistence>, _ holds: Bool,
        for duration: UInt64 = UsageWatch.long
      ) {
        if entry[keyPath: state].update(holds, now: sample.at, for: duration) {
          findings.append(finding)
        }
      }
      tell(.throttled(.cpuMax), \.processor, sample.isThrottled(since: earlier))
      tell(.throttled(.memoryHigh), \.memory, sample.isHeldByMemoryHigh(since: earlier))
      tell(.processesRefused, \.processes, sample.isRefusedProcesses(since: earlier), for: 0)
      tell(
        .storageFull(.diskMax), \.bytes,
        Self.isFull(storage?.usedBytes, of: storage?.maxBytes), for: 0)
      tell(
        .storageFull(.diskFilesMax), \.files,
        Self.isFull(storage?.usedFiles, of: storage?.maxFiles), for: 0)
      all[name] = entry
      return findings
    }
  }

  /// A file system fills up to its bound within a block or two: a hundredth is the margin.
  private static func isFull(_ used: UInt64?, of bound: UInt64?) -> Bool {
    guard let used, let bound else { return false }
    return used >= bound - bound / 100
  }
}
