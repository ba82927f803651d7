import SliceInterface
import SliceModel

// One function per method of org.sliceruntime.Slices that is answered once. What they do and
// which errors they give is said in the interface definition.
extension Supervisor {
  public func create(
    _ name: SliceName, spec: SliceSpec, start: Bool
  ) throws(SliceError) -> SliceSummary {
    try call(
      "Create", CreateCall.Parameters(name: name.text, spec: spec, start: start),
      returning: SliceReply.self
    ).slice
  }

  public func start(_ name: SliceName) throws(SliceError) -> SliceSummary {
    try call("Start", NameParameters(name: name.text), returning: SliceReply.self).slice
  }

  /// - Parameter timeout: nil leaves it to the supervisor.
  public func stop(_ name: SliceName, timeout: TimeSpan?) throws(SliceError) -> SliceSummary {
    try call("Stop", stopParameters(name, timeout), returning: SliceReply.self).slice
  }

  /// - Parameter timeout: nil leaves it to the supervisor.
  public func restart(_ name: SliceName, timeout: TimeSpan?) throws(SliceError) -> SliceSummary {
    try call("Restart", stopParameters(name, timeout), returning: SliceReply.self).slice
  }

  private func stopParameters(_ name: SliceName, _ timeout: TimeSpan?) -> StopCall.Parameters {
    StopCall.Parameters(
      name: name.text, timeoutMilliseconds: timeout.map { UInt32(clamping: $0.milliseconds) })
  }

  public func kill(_ name: SliceName, signal: Int32) throws(SliceError) {
    _ = try call(
      "Kill", KillCall.Parameters(name: name.text, signal: signal), returning: Empty.self)
  }

  public func pause(_ name: SliceName) throws(SliceError) -> SliceSummary {
    try call("Pause", NameParameters(name: name.text), returning: SliceReply.self).slice
  }

  public func resume(_ name: SliceName) throws(SliceError) -> SliceSummary {
    try call("Resume", NameParameters(name: name.text), returning: SliceReply.self).slice
  }

  public func destroy(_ name: SliceName, force: Bool) throws(SliceError) {
    _ = try call(
      "Destroy", DestroyCall.Parameters(name: name.text, force: force), returning: Empty.self)
  }

  /// - Parameter changes: texts by key; an empty one removes the setting.
  public func set(
    _ name: SliceName, _ changes: [String: String]
  ) throws(SliceError) -> SetCall.Reply {
    try call(
      "Set", SetCall.Parameters(name: name.text, changes: changes), returning: SetCall.Reply.self)
  }

  /// - Parameter length: from now; nil for the length of its lease.
  public func renew(_ name: SliceName, for length: TimeSpan?) throws(SliceError) -> SliceSummary {
    try call(
      "Renew", RenewCall.Parameters(name: name.text, milliseconds: length?.milliseconds),
      returning: SliceReply.self
    ).slice
  }

  /// What the caller could still get.
  public func offers() throws(SliceError) -> JSONValue {
    try call("Offers", returning: OffersCall.Reply.self, timeout: Self.promptly).offers
  }

  /// - Returns: how many slices were ended.
  public func stopAll() throws(SliceError) -> Int {
    try call("StopAll", returning: StopAllCall.Reply.self).stopped
  }

  /// - Parameter timeout: nil for what a working supervisor needs.
  public func list(timeout: Duration? = nil) throws(SliceError) -> [SliceSummary] {
    try call("List", returning: ListCall.Reply.self, timeout: timeout ?? Self.promptly).slices
  }

  public func inspect(_ name: SliceName) throws(SliceError) -> JSONValue {
    try call(
      "Inspect", NameParameters(name: name.text), returning: InspectCall.Reply.self,
      timeout: Self.promptly
    ).slice
  }

  /// How the slice's service ended; waits until it has.
  public func wait(_ name: SliceName) throws(SliceError) -> WaitCall.Reply {
    try call("Wait", NameParameters(name: name.text), returning: WaitCall.Reply.self)
  }

  /// - Parameter timeout: nil for what a working supervisor needs.
  public func images(timeout: Duration? = nil) throws(SliceError) -> [ImageSummary] {
    try call("ImageList", returning: ImageListCall.Reply.self, timeout: timeout ?? Self.promptly)
      .images
  }

  public func inspectImage(_ name: String) throws(SliceError) -> ImageSummary {
    try call(
      "ImageInspect", NameParameters(name: name), returning: ImageInspectCall.Reply.self,
      timeout: Self.promptly
    ).image
  }

  public func removeImage(_ name: String) throws(SliceError) {
    _ = try call("ImageRemove", NameParameters(name: name), returning: Empty.self)
  }

  /// Sends a signal to a command started with `Execute`. It may have ended meanwhile, and nothing
  /// could be done about another failure while it runs: both are let pass.
  func trySignal(execution id: String, _ signal: Int32) {
    _ = try? call(
      "SignalExecution", SignalExecutionCall.Parameters(id: id, signal: signal),
      returning: Empty.self, timeout: Self.promptly)
  }
}
