import Glibc
import SystemTestSupport
import Testing

extension ServiceTests {
  /// What the machinery itself costs. The bounds are generous; the figures are printed.
  @Suite struct Cost {
    @Test func manyIdleSlices() throws {
      try withNode { node in
        var lines: [String] = []
        var created = 0
        for target in [0, 20, 100] {
          let begin = MonotonicTime.now
          while created < target {
            created += 1
            try node.succeed(
              "create", "s\(created)", "--image", "minimal", "--", "sleep", "100000")
          }
          let each = (MonotonicTime.now - begin) / Double(max(1, target)) * 1000
          let resident = try Footprint.residentKiB(of: node.supervisorPID, in: node)
          lines.append("\(target) slices: sliced \(resident) KiB, \(Int(each)) ms a creation")
          #expect(resident < 32_000)
        }
        let pids = ProcessTable.pids(proc: node.host.proc).filter {
          HostFiles.text("\(node.host.proc)/\($0)/cmdline").hasPrefix("slice-init\0")
        }
        #expect(pids.count == 100)
        let largest = try pids.map { try Footprint.residentKiB(of: $0, in: node) }.max() ?? 0
        lines.append("slice-init: \(largest) KiB")
        #expect(largest < 300)
        print(lines.joined(separator: "\n"))
        try node.succeed("stop-all")
        try node.succeed("list")
      }
    }
  }
}

enum Footprint {
  /// VmRSS of proc_pid_status(5).
  static func residentKiB(of pid: pid_t?, in node: TestNode) throws -> Int {
    guard let pid else { throw HarnessError("no such process") }
    let status = HostFiles.lines("\(node.host.proc)/\(pid)/status")
    guard let line = status.first(where: { $0.hasPrefix("VmRSS:") }),
      let value = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
    else { throw HarnessError("process \(pid) has no VmRSS") }
    return value
  }
}
