import Descriptor
import Glibc
import SliceInterface
import SliceModel
import Varlink

/// Brings an image to the supervisor.
public struct ImageImport: Sendable {
  public enum Outcome: Sendable {
    case imported(ImageSummary)
    /// The caller got this signal; nothing was imported.
    case interrupted(Int32)
  }

  private let supervisor: Supervisor
  private let parameters: ImageImportCall.Parameters
  private let source: ImageSource

  /// - Parameter kind: nil finds out.
  public init(
    _ source: ImageSource, name: String, kind: ImageImportCall.Kind?, tag: String?,
    to supervisor: Supervisor
  ) throws(SliceError) {
    self.supervisor = supervisor
    self.source = source
    let kind = if let kind { kind } else { try source.kind() }
    parameters = ImageImportCall.Parameters(name: name, kind: kind, tag: tag)
  }

  /// - Parameter onProgress: is called often, between the first answer and the end.
  public func run(
    onProgress: (ProgressLine.Progress) -> Void
  ) throws(SliceError) -> Outcome {
    switch source {
    case .standardInput:
      return try receive(Endpoint(borrowing: STDIN_FILENO), nil, onProgress)
    case .file(let path):
      return try receive(ImageSource.open(path), nil, onProgress)
    case .directory(let path):
      return try receive(from: TarProcess.start(directory: path), onProgress)
    }
  }

  private func receive(
    from tar: TarProcess, _ onProgress: (ProgressLine.Progress) -> Void
  ) throws(SliceError) -> Outcome {
    let outcome: Outcome
    do throws(SliceError) {
      outcome = try receive(tar.takeArchive(), tar, onProgress)
    } catch {
      let cause = tar.failureSoFar ?? error
      tar.abandon()
      throw cause
    }
    if case .interrupted = outcome {
      tar.abandon()
    } else if let failure = tar.wait() {
      // It was content with the archive before its end: it must not keep what lacks files.
      try? supervisor.removeImage(parameters.name)  // `try?`: tar's failure is the one to tell
      throw failure
    }
    return outcome
  }

  private func receive(
    _ archive: consuming Endpoint?, _ tar: TarProcess?,
    _ onProgress: (ProgressLine.Progress) -> Void
  ) throws(SliceError) -> Outcome {
    var archive = consume archive
    let number = archive?.number ?? -1
    var progress = ProgressLine.Progress(totalBytes: Self.size(of: number))
    var signals: ImportSignals?
    var outcome: Outcome?
    try supervisor.stream(
      "ImageImport", parameters, returning: ImageImportCall.Reply.self,
      descriptors: [number],
      onConnect: { connection in try tar?.watch(hangingUp: connection) }
    ) { reply, _, connection in
      archive = nil  // The supervisor has it now, and tar must notice when that stops reading.
      if let image = reply.image {
        outcome = .imported(image)
        return .stop
      }
      progress.readBytes = reply.readBytes ?? progress.readBytes
      progress.entries = reply.entries ?? progress.entries
      onProgress(progress)
      let queue = try signals ?? ImportSignals()
      signals = queue
      if let signal = try queue.wait(untilReplyOn: connection) {
        outcome = .interrupted(signal)
        return .stop
      }
      return .next
    }
    guard let outcome else {
      throw SliceError(.failed, "the supervisor's last answer lacks the image")
    }
    return outcome
  }

  /// Nil where only the end will tell.
  private static func size(of archive: Int32) -> UInt64? {
    var status = stat()
    guard fstat(archive, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return nil
    }
    return UInt64(status.st_size)
  }
}

/// The signals that end an import, once it is under way; before, they end the process.
private final class ImportSignals {
  private let queue: SignalQueue

  init() throws(SystemError) { queue = try SignalQueue([SIGINT, SIGTERM, SIGHUP]) }

  /// - Returns: nil when the supervisor has something to say.
  func wait(untilReplyOn connection: Int32) throws(SystemError) -> Int32? {
    var polled = [connection, queue.pollDescriptor].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    while true {
      try retryingInterrupts("poll") { poll(&polled, 2, -1) }
      if let signal = queue.next() { return signal }
      if polled[0].revents != 0 { return nil }
    }
  }
}

extension TarProcess {
  /// Watches it; when it fails, hangs up `connection`, which is borrowed for this call alone.
  fileprivate func watch(hangingUp connection: Int32) throws(SystemError) {
    let own = try checked("fcntl(F_DUPFD_CLOEXEC)") { fcntl(connection, F_DUPFD_CLOEXEC, 0) }
    let held = Endpoint(OwnedFD(adopting: own))
    // shutdown(2) works on the connection itself, whatever descriptors refer to it.
    try watch { shutdown(held.number, Int32(SHUT_RDWR)) }
  }
}
