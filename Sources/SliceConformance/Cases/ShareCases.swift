import Glibc
import SliceModel

/// What a slice gets beside one that takes all it can.
enum ShareCases {
  static let all: [ConformanceCase] = [
    .script(
      "share.processor",
      "a slice with one process keeps its half of a processor beside a slice with sixteen, within 5 %",
      "cgroup-v2 of the kernel, cpu.weight", needs: [.weights], processor),
    .script(
      "share.network",
      "a slice with one sender keeps its half of a full uplink beside a slice with sixteen, within 5 %",
      "tc-htb(8)", needs: [.shaping], network),
    .script(
      "share.disk",
      "a slice with four writers keeps its half of a saturated disk beside a slice with sixteen, within 5 %",
      "cgroup-v2 of the kernel, io.weight", needs: [.weights], disk),
  ]

  private static let seconds = 5.0
  /// Of the share: 0.5 of what there is.
  private static let tolerance = 0.05

  /// At the least weight there is, so that a busy host's other slices don't notice.
  private static func processor(_ bed: TestBed) throws -> Verdict {
    // On one processor, else there is nothing to share.
    let one = ["cpu.weight=1", "cpu.set=0"]
    let (mine, theirs): (String, String)
    var processors = 1.0
    do {
      (mine, theirs) = (try bed.slice(settings: one), try bed.slice(settings: one))
    } catch is TestBed.Unenforceable {
      let all = Array(one.prefix(1))
      (mine, theirs) = (try bed.slice(settings: all), try bed.slice(settings: all))
      processors = Double(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
    defer {
      bed.release(mine)
      bed.release(theirs)
    }
    var share = 0.0
    // What else a machine does comes in between; once undisturbed is enough.
    for _ in 0..<3 {
      share = try measure(bed, mine, beside: theirs, processors)
      if abs(share - 0.5) <= 0.5 * tolerance { break }
    }
    let percent = Int(share * 1000 + 0.5)
    guard abs(share - 0.5) <= 0.5 * tolerance else {
      return .fail(
        "it got \(percent / 10).\(percent % 10) % of what the processors gave, beside a slice of the same weight"
      )
    }
    // The control: in one slice, where no weights stand between them.
    let crowded = try measure(bed, theirs, beside: theirs, processors)
    return crowded < 0.4 ? .pass : .skip("without a weight of its own it isn't starved either")
  }

  /// The part that a slice's spinning processes, one a processor, get of what they and others, sixteen times as
  /// many, get together.
  private static func measure(
    _ bed: TestBed, _ slice: String, beside other: String, _ processors: Double
  ) throws -> Double {
    func spin(_ slice: String, _ count: Double, _ seconds: Double) throws -> RunningProgram {
      try bed.startSlicectl([
        "exec", slice, "--", "/probe", "spin", "\(seconds)", "\(Int(count * processors))",
      ])
    }
    // They begin first and end last.
    let others = try spin(other, 16, seconds + 3)
    defer { others.end() }
    let own = try spin(slice, 1, seconds)
    defer { own.end() }
    try own.collect(until: Clock.now + seconds + 60, bed.interruption)
    let line = own.text(0).split(separator: "\n").last.map { Array($0.utf8) } ?? []
    guard let figures = try? JSONValue(parsing: line), let used = figures["used"].number,
      let elapsed = figures["elapsed"].number, elapsed > 0
    else { throw SuiteError("no figures of the load: \(own.text(1))") }
    return used / elapsed / processors
  }

  // MARK: - The uplink

  /// Nobody's, and by the way to the world (RFC 5737).
  private static let nobody = "192.0.2.1"
  /// Of the slice's own packets, and the others'.
  private static let ports = ["4711", "4712"]

  /// Measured behind the uplink's queues, where the slices' senders are told by their ports.
  private static func network(_ bed: TestBed) throws -> Verdict {
    guard bed.tools.load else {
      throw TestBed.Unenforceable(reason: "it fills the uplink for some seconds: add --load")
    }
    guard let uplink = File.uplink() else { throw TestBed.Unenforceable(reason: "no uplink") }
    let (mine, theirs) = (try bed.slice(), try bed.slice())
    defer {
      bed.release(mine)
      bed.release(theirs)
    }
    var share = 0.0
    for _ in 0..<3 {
      let measured = try flood(bed, uplink, mine, beside: theirs)
      guard measured.isFull else {
        throw TestBed.Unenforceable(reason: "\(uplink) is faster than two slices can send")
      }
      share = measured.share
      if abs(share - 0.5) <= 0.5 * tolerance { break }
    }
    let percent = Int(share * 1000 + 0.5)
    guard abs(share - 0.5) <= 0.5 * tolerance else {
      return .fail(
        "it got \(percent / 10).\(percent % 10) % of \(uplink), beside a slice of the same weight")
    }
    let crowded = try flood(bed, uplink, theirs, beside: theirs).share
    return crowded < 0.4 ? .pass : .skip("without a class of its own it isn't starved either")
  }

  private static func flood(
    _ bed: TestBed, _ uplink: String, _ slice: String, beside other: String
  ) throws -> (share: Double, isFull: Bool) {
    func send(_ slice: String, _ port: String, _ count: Int) throws -> RunningProgram {
      try bed.startSlicectl([
        "exec", slice, "--", "/probe", "flood", nobody, port, "\(seconds + 4)", "\(count)",
      ])
    }
    let others = try send(other, ports[1], 16)
    defer { others.end() }
    let own = try send(slice, ports[0], 1)
    defer { own.end() }
    let result = try bed.probe(["leaving", uplink, "\(seconds)"] + ports)
    guard let line = result.output.split(separator: "\n").last,
      let left = try? JSONValue(parsing: Array(line.utf8))["bytes"].array?.compactMap(\.number),
      left.count == 2
    else { throw SuiteError("no count of what left by \(uplink): \(result.complaint)") }
    try others.collect(until: Clock.now + seconds + 60, bed.interruption)
    let sum = left[0] + left[1]
    guard sum > 0,
      let text = others.text(0).split(separator: "\n").last,
      let sent = try? JSONValue(parsing: Array(text.utf8))["sent"].number
    else { throw SuiteError("nothing left by \(uplink)") }
    // More was sent than left: somebody had to wait.
    return (left[0] / sum, left[1] < 0.9 * sent * seconds / (seconds + 4))
  }

  // MARK: - The disk

  /// By what the kernel counts for each slice at the device below the storage.
  private static func disk(_ bed: TestBed) throws -> Verdict {
    guard bed.tools.load else {
      throw TestBed.Unenforceable(reason: "it fills the disk for some seconds: add --load")
    }
    // Refused as unenforceable where neither io.cost nor BFQ is turned on for that device.
    let weight = ["io.weight=50"]
    let (mine, theirs) = (try bed.slice(settings: weight), try bed.slice(settings: weight))
    defer { try? bed.destroy([mine, theirs]) }
    guard let device = try bed.json(["inspect", mine])["storage"]["device"].string else {
      throw TestBed.Unenforceable(reason: "the device below the storage is not known")
    }
    var share = 0.0
    for _ in 0..<3 {
      let others = try write(bed, theirs, 16, seconds + 4)
      defer { others.end() }
      let own = try write(bed, mine, 4, seconds + 4)
      defer { own.end() }
      sleep(1)
      func counts() throws -> [Double] {
        try [mine, theirs].map { try written(by: $0, to: device, bed) }
      }
      let before = try counts()
      usleep(UInt32(seconds * 1e6))
      let moved = try zip(counts(), before).map { $0 - $1 }
      guard moved[0] + moved[1] > 0 else { throw SuiteError("nothing was written to \(device)") }
      share = moved[0] / (moved[0] + moved[1])
      if abs(share - 0.5) <= 0.5 * tolerance { break }
    }
    let percent = Int(share * 1000 + 0.5)
    guard abs(share - 0.5) <= 0.5 * tolerance else {
      return .fail(
        "it got \(percent / 10).\(percent % 10) % of what was written, beside a slice of the same weight"
      )
    }
    // The control: in one slice, where no weights stand between them.
    let others = try write(bed, theirs, 16, seconds)
    defer { others.end() }
    let own = try write(bed, theirs, 4, seconds)
    defer { own.end() }
    let sums = try [own, others].map { load in
      try load.collect(until: Clock.now + seconds + 60, bed.interruption)
      return load.text(0).split(separator: "\n").last
        .flatMap { try? JSONValue(parsing: Array($0.utf8))["written"].number } ?? 0
    }
    return sums[0] < 0.4 * (sums[0] + sums[1])
      ? .pass : .skip("without a weight of its own it isn't starved either")
  }

  private static func write(
    _ bed: TestBed, _ slice: String, _ count: Int, _ seconds: Double
  ) throws -> RunningProgram {
    try bed.startSlicectl(["exec", slice, "--", "/probe", "write", "\(seconds)", "\(count)"])
  }

  /// Bytes, by io.stat of the slice's cgroup.
  private static func written(
    by slice: String, to device: String, _ bed: TestBed
  ) throws -> Double {
    guard let place = try File.limits(of: bed.initProcess(of: slice)) else {
      throw SuiteError("no cgroup of \(slice)")
    }
    let line = File.text(place + "/io.stat").split(separator: "\n")
      .first { $0.hasPrefix(device + " ") }
    let field = line?.split(separator: " ").first { $0.hasPrefix("wbytes=") }
    return field.flatMap { Double($0.dropFirst(7)) } ?? 0
  }
}
