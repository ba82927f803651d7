import Descriptor
import Glibc
import SystemTestSupport
import Testing

@testable import SliceKernel

/// Reading a cgroup's files and what lies below it, from directories that only look like cgroups.
@Suite struct CgroupUseTests {
  private let directory: TemporaryDirectory
  private let all: Set<String> = ["cpu", "memory", "pids", "io"]

  init() throws { directory = try TemporaryDirectory() }

  private func open(_ path: String) throws -> OwnedFD {
    try Files.open(path, O_RDONLY | O_DIRECTORY)
  }

  @Test func readsEveryFigure() throws {
    let files = [
      "cpu.stat": """
      usage_usec 1500000
      user_usec 1000000
      nr_periods 20
      nr_throttled 5
      throttled_usec 250000

      """,
      "memory.current": "4096\n", "memory.peak": "8192\n", "memory.swap.current": "0\n",
      "memory.events": "low 0\nhigh 3\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n",
      "pids.current": "7\n",
      "io.stat": """
      8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0
      254:1 rbytes=1000 wbytes=2000 rios=10 wios=20 dbytes=0 dios=0

      """,
      "cpu.pressure": "some avg10=12.50 avg60=1.00 avg300=0.00 total=777\n",
      "memory.pressure": """
      some avg10=0.25 avg60=0.00 avg300=0.00 total=5
      full avg10=99.00 avg60=0.00 avg300=0.00 total=999

      """,
    ]
    for (name, text) in files { try HostFiles.write(text, to: directory[name]) }
    let use = CgroupUse(cgroup: try open(directory.path), controllers: all)
    #expect((use.cpuMicroseconds, use.throttledMicroseconds) == (1_500_000, 250_000))
    #expect((use.periods, use.throttledPeriods) == (20, 5))
    #expect((use.memoryBytes, use.memoryPeakBytes, use.swapBytes) == (4096, 8192, 0))
    #expect((use.outOfMemoryKills, use.processes) == (1, 7))
    #expect((use.readBytes, use.writtenBytes) == (1100, 2200))
    #expect((use.readOperations, use.writtenOperations) == (11, 22))
    #expect((use.cpuPressure.recentPercent, use.cpuPressure.totalMicroseconds) == (12.5, 777))
    #expect((use.memoryPressure.recentPercent, use.memoryPressure.totalMicroseconds) == (0.25, 5))
    #expect(use.ioPressure == CgroupUse.Pressure())
    let others = CgroupUse(cgroup: try open(directory.path), controllers: [])
    #expect(others.memoryBytes == nil && others.processes == nil && others.readBytes == nil)
    #expect(others.cpuMicroseconds == 1_500_000)
  }

  @Test func whatIsAbsentOrOddIsNil() throws {
    #expect(CgroupUse(cgroup: try open(directory.path), controllers: all) == CgroupUse())
    for (name, text) in [
      "memory.current": "max\n", "pids.current": "", "cpu.stat": "usage_usec\nnr_periods -1\n\n x",
      "cpu.pressure": "some avg10= total=99999999999999999999\n", "io.stat": "",
    ] {
      try HostFiles.write(text, to: directory[name])
    }
    var expected = CgroupUse()
    // No device has been used: nothing was read.
    (expected.readBytes, expected.writtenBytes) = (0, 0)
    (expected.readOperations, expected.writtenOperations) = (0, 0)
    #expect(CgroupUse(cgroup: try open(directory.path), controllers: all) == expected)
  }

  @Test func treesAreSortedAndBounded() throws {
    for name in ["b", "a", "a/inner", "c"] { #expect(mkdir(directory[name], 0o755) == 0) }
    try HostFiles.write("nr_descendants 4\nnr_dying_descendants 9\n", to: directory["cgroup.stat"])
    #expect(symlink("/", directory["link"]) == 0)
    func tree(_ limit: Int) throws -> (children: [CgroupTree], more: Int) {
      CgroupTree.below(try open(directory.path), limit: limit, controllers: all)
    }
    let whole = try tree(100)
    #expect(whole.children.map(\.name) == ["a", "b", "c"])
    #expect(whole.children[0].children.map(\.name) == ["inner"])
    #expect(whole.more == 0)
    let part = try tree(3)
    #expect(part.children.map(\.name) == ["a", "b"])
    #expect(part.more == 1)
    #expect(try tree(0).more == 4)
  }
}
