import CKernel
import Descriptor
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime

extension Request {
  /// The largest packet, with its Ethernet header, that a link carries in one piece.
  private static let largestSnapshot = 65_536
  /// Milliseconds: a year.
  private static let longestTraffic: UInt64 = 31_536_000_000

  func capture() throws {
    try call.requireMore()
    let parameters = try call.parameters(as: CaptureCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    guard (1...FilterInstruction.mostInAProgram).contains(parameters.filter.count) else {
      throw SliceError(
        .usage, "a filter has 1 to \(FilterInstruction.mostInAProgram) instructions")
    }
    guard (1...Self.largestSnapshot).contains(parameters.snapshot) else {
      throw SliceError(.usage, "a snapshot has 1 to \(Self.largestSnapshot) bytes")
    }
    let streams = try takeStreams(["output", "stop"])
    let process = try node.capture(
      slice, link: parameters.interface, filter: parameters.filter.map(\.instruction),
      snapshot: parameters.snapshot, output: streams[0], stop: streams[1])
    try follow(process, of: slice, overtime: Overtime(asked: streams[1]))
  }

  func traffic() throws {
    try call.requireMore()
    let parameters = try call.parameters(as: TrafficCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    try SliceSpec.validate(command: ["slice-traffic"] + parameters.arguments)
    guard parameters.milliseconds ?? 0 <= Self.longestTraffic else {
      throw SliceError(.usage, "traffic takes a year at most, or no time is given")
    }
    let (asked, ending) = try reporting("pipe") { () throws(SystemError) in
      try Pipe.make(label: "end of slice-traffic")
    }
    let process = try node.traffic(
      slice, arguments: parameters.arguments, streams: try takeStreams())
    try follow(
      process, of: slice, ending: ending,
      overtime: Overtime(
        asked: asked, due: parameters.milliseconds.map { kernel_monotonic() + $0 * 1_000_000 }))
  }
}
