import Descriptor
import Glibc
import SliceClient
import SliceModel

/// Standard output, unbuffered: what a verb prints comes as one text.
enum StandardOutput {
  /// Writes it all. A reader that has gone (`slicectl list | head`) ends the process quietly, as
  /// SIGPIPE does; any other failure ends it with a message.
  static func write(_ text: String) {
    guard let error = writeAll(text, to: STDOUT_FILENO) else { return }
    if error.code == EPIPE { exit(128 + SIGPIPE) }
    ErrorOutput(isJSON: false).report(
      SliceError(.failed, "cannot write the result: \(error.explanation)"))
    exit(SliceError.Code.failed.exitStatus)
  }
}

/// Standard error: everything that is not a result.
struct ErrorOutput {
  let isJSON: Bool

  /// `slicectl: create web: …`, and its hint on a second line; or one JSON object.
  func report(_ error: SliceError) {
    if isJSON {
      let members: [String: JSONValue] = [
        "code": .string(error.code.rawValue), "message": .string(error.message),
        "hint": JSONValue(error.hint),
      ]
      write(JSONValue.object(["error": .object(members)]).text(pretty: false) + "\n")
    } else {
      write("slicectl: \(error.message)\n" + (error.hint.map { "hint: \($0)\n" } ?? ""))
    }
  }

  /// There is nobody left to tell when this fails.
  func write(_ text: String) { _ = writeAll(text, to: STDERR_FILENO) }
}

/// - Returns: why it could not all be written; nil when it was.
private func writeAll(_ text: String, to descriptor: Int32) -> SystemError? {
  var bytes = Array(text.utf8)[...]
  while !bytes.isEmpty {
    do throws(SystemError) {
      let count = try retryingInterrupts("write") {
        bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      }
      bytes = bytes.dropFirst(count)
    } catch {
      guard error.code == EAGAIN else { return error }
      var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      poll(&wait, 1, -1)
    }
  }
  return nil
}
