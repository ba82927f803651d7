import Glibc
import SliceModel
import SystemTestSupport
import Testing

/// What a slice has used since it was started.
private func processorSeconds(_ node: TestNode, _ slice: String) throws -> Double {
  let line = HostFiles.lines("\(node.cgroup)/\(slice)/cpu.stat").first {
    $0.hasPrefix("usage_usec ")
  }
  return try #require(line.flatMap { Double($0.dropFirst(11)) }) / 1e6
}

/// Processors in proportion, by measurement: every test prints its figures. In the lab where this
/// machine's cgroup v2 has no cpu controller.
@Suite(
  .requiresSlices, .requiresController("cpu"), .requiresController("cpuset"),
  .requiresProgram("/usr/bin/cc"), .serialized)
struct SchedulingTests {
  /// A slice that spins on processor 0 alone, in `threads` threads.
  private func hog(_ node: TestNode, _ name: String, weight: Int, threads: Int = 1) throws {
    try node.createProbe(
      name, ["cpu.weight=\(weight)", "cpu.set=0"], "/bin/load", "spin", "\(threads)")
  }

  /// Processor time of each slice over some seconds, after one to settle.
  private func measure(
    _ node: TestNode, _ names: [String], seconds: UInt32 = 5
  ) throws -> (used: [Double], elapsed: Double) {
    func usage() throws -> [Double] { try names.map { try processorSeconds(node, $0) } }
    sleep(1)
    let (before, began) = (try usage(), MonotonicTime.now)
    sleep(seconds)
    let (after, ended) = (try usage(), MonotonicTime.now)
    return (zip(after, before).map { $0 - $1 }, ended - began)
  }

  private func shares(_ used: [Double]) -> [Double] {
    let total = used.reduce(0, +)
    return used.map { $0 / total }
  }

  @Test(arguments: [[100, 100], [100, 300], [100, 200, 700], [10, 90], [1, 50]])
  func sharesAreWhatTheWeightsSay(weights: [Int]) throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      let names = weights.indices.map { "hog\($0)" }
      for (name, weight) in zip(names, weights) { try hog(node, name, weight: weight) }
      let measured = shares(try measure(node, names).used)
      let wanted = shares(weights.map(Double.init))
      print("cpu weights \(weights): shares \(measured), wanted \(wanted)")
      for (share, target) in zip(measured, wanted) { #expect(abs(share - target) < 0.02) }
    }
  }

  @Test func whatAnIdleSliceLeavesGoesToTheBusy() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe(
        "idle", ["cpu.weight=8000", "cpu.set=0"], "/bin/sh", "-c", "while :; do sleep 1000; done")
      try hog(node, "one", weight: 100)
      try hog(node, "two", weight: 300)
      let (used, elapsed) = try measure(node, ["idle", "one", "two"])
      print("beside an idle slice of weight 8000: \(used) s of \(elapsed) s")
      #expect(used[0] / elapsed < 0.01)
      #expect((used[1] + used[2]) / elapsed > 0.9)
      #expect(abs(used[1] / (used[1] + used[2]) - 0.25) < 0.02)
    }
  }

  @Test func fiftyThreadsGetNoMoreThanOne() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try hog(node, "many", weight: 100, threads: 50)
      try hog(node, "one", weight: 100)
      let measured = shares(try measure(node, ["many", "one"]).used)
      print("50 threads against 1: shares \(measured)")
      #expect(abs(measured[0] - 0.5) < 0.02)
    }
  }

  @Test(arguments: [20, 50])
  func aCeilingHolds(percent: Int) throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe("busy", ["cpu.max=\(percent)%"], "/bin/load", "spin", "2")
      let (used, elapsed) = try measure(node, ["busy"])
      print("cpu.max=\(percent)%: \(used[0] / elapsed * 100) % of a processor")
      #expect(abs(used[0] / elapsed * 100 - Double(percent)) < 2)
    }
  }

  /// Told once it has gone on for half a minute.
  @Test func toBeThrottledForLongIsTold() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe("busy", ["cpu.max=10%"], "/bin/load", "spin", "2")
      try node.createProbe("free", [], "/bin/load", "spin", "1")
      func told() throws -> [JSONValue] {
        try node.json("events").array?.filter { $0["kind"].string == "throttled" } ?? []
      }
      #expect(try eventually(within: 60) { try !told().isEmpty })
      sleep(12)
      #expect(try told().map { $0["slice"].string } == ["busy"], "once, and of this one alone")
      #expect(try told().first?["details"]["limit"].string == "cpu.max=10%")
      let cores = try #require(
        try node.json("shares", "busy").array?.first?["cpu"]["usageCores"].number)
      #expect(abs(cores - 0.1) < 0.03)
    }
  }
}

/// Bombs: what they must not do to others. Figures are printed.
@Suite(
  .requiresSlices, .requiresController("memory"), .requiresController("pids"),
  .requiresProgram("/usr/bin/cc"), .serialized)
struct BombTests {
  /// What the neighbour gets done: processor time as its kernel gives it, and iterations a second.
  /// Each is disturbed by other things, the first by the kernel's own threads, the second by what else
  /// the machine below the lab does; who is held up by a bomb loses both.
  private func work(
    _ node: TestNode, seconds: UInt32
  ) throws -> (processors: Double, iterations: Double) {
    func lines() throws -> [[Double]] {
      try node.succeed("logs", "calm").split(separator: "\n").map {
        $0.split(separator: " ").compactMap { Double($0) }
      }
    }
    let begin = try lines().count
    let (before, began) = (try processorSeconds(node, "calm"), MonotonicTime.now)
    sleep(seconds)
    let (after, ended) = (try processorSeconds(node, "calm"), MonotonicTime.now)
    let done = try lines().dropFirst(begin)
    return (
      (after - before) / (ended - began),
      done.reduce(0) { $0 + $1[1] } / done.reduce(0) { $0 + $1[0] } * 1000
    )
  }

  @Test(
    .requiresController("cpuset"),
    arguments: ["anonymous", "pagecache", "tmpfs", "pipes", "sockets", "pagetables"])
  func aMemoryBombStaysWithinAndItsNeighbourGoesOn(kind: String) throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe("calm", ["cpu.set=1"], "/bin/load", "count")
      try node.createProbe(
        "bomb", ["cpu.set=0", "memory.max=64M", "memory.swap.max=0", "pids.max=64"], "/bin/sh",
        "-c", "while :; do sleep 1000; done")
      var kept = 0.0
      for _ in 0..<3 where kept < 0.95 {
        if try node.state(of: "bomb") != "running" { try node.succeed("start", "bomb") }
        let calm = try work(node, seconds: 3)
        // Either may be killed with all of its slice before it says anything.
        let loads = try (0..<3).map { _ in
          try node.start("exec", "bomb", "-i", "--", "/bin/load", kind, "400")
        }
        let disturbed = try work(node, seconds: 4)
        let processors = disturbed.processors / calm.processors
        let iterations = disturbed.iterations / calm.iterations
        kept = max(processors, iterations)
        // The cgroup has gone where the whole slice was killed.
        let living = UInt64(HostFiles.text("\(node.cgroup)/bomb/memory.peak").filter(\.isNumber))
        let dead = try node.inspect("bomb")["outOfMemory"]["peakBytes"].integer.map(UInt64.init)
        let peak = try #require(living ?? dead)
        print(
          "\(kind) bomb at memory.max=64M: peak \(Readable.bytes(peak)), neighbour "
            + "\(Readable.percent(processors)) of its processor time, "
            + "\(Readable.percent(iterations)) of its iterations")
        #expect(peak <= 64 << 20)
        #expect(peak > 32 << 20, "it was no bomb")
        loads.forEach { $0.signal(SIGKILL) }
      }
      #expect(kept >= 0.95)
    }
  }

  @Test func aForkBombIsContained() throws {
    try withNode(checkLeftovers: false) { node in
      try node.importProbes("load")
      try node.createProbe("bomb", ["pids.max=64"], "/bin/load", "forks")
      try node.createProbe("calm", [], "/bin/sh", "-c", "while :; do sleep 1000; done")
      #expect(
        eventually { HostFiles.text("\(node.cgroup)/bomb/pids.current") == "64\n" })
      #expect(try node.execute("calm", "/bin/sh", "-c", "echo responsive") == "responsive")
      let asked = MonotonicTime.now
      #expect(try node.state(of: "bomb") == "running")
      let listing = MonotonicTime.now - asked
      #expect(HostFiles.text("\(node.cgroup)/bomb/pids.peak") == "64\n")
      #expect(
        try eventually(within: 15) {
          try node.json("events").array?.contains { $0["kind"].string == "processes-refused" }
            ?? false
        })
      let began = MonotonicTime.now
      try node.succeed("destroy", "bomb", "--force")
      let took = MonotonicTime.now - began
      print("fork bomb: list beside it takes \(listing) s, destroy \(took) s")
      // The lab's kernel takes several times as long as one that owns its machine.
      #expect(took - listing < (Host.isUserModeLinux ? 4 : 1))
    }
  }
}
