import SliceInterface
import SliceModel
import SliceRuntime

extension Request {
  /// The largest packet, with its Ethernet header, that a link carries in one piece.
  private static let largestSnapshot = 65_536

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
    guard let status = try follow(process) else { return }
    try reply(status, of: slice)
  }

  func traffic() throws {
    try call.requireMore()
    let parameters = try call.parameters(as: TrafficCall.Parameters.self)
    let slice = try authorizedSlice(parameters.name)
    try SliceSpec.validate(command: ["slice-traffic"] + parameters.arguments)
    let process = try node.traffic(
      slice, arguments: parameters.arguments, streams: try takeStreams())
    guard let status = try follow(process) else { return }
    try reply(status, of: slice)
  }
}
