import Descriptor
import Glibc
import SliceInterface
import SliceModel
import Varlink

extension SliceError {
  /// Why no connection to the supervisor came about.
  init(connecting error: SystemError, to path: String) {
    let start = "start it with 'systemctl start sliced', or in the foreground with 'sudo sliced'"
    let shown = path.escapedForTerminal
    switch error.code {
    case ENOENT, ECONNREFUSED:
      self.init(.noSupervisor, "no supervisor listens at \(shown)", hint: start)
    case EACCES, EPERM:
      self.init(
        .refused, "no permission to talk to the supervisor at \(shown)",
        hint: "its socket's owner, group and mode rule who may; 'ls -l \(shown)' shows them")
    case EAGAIN:
      self.init(
        .noSupervisor, "the supervisor at \(shown) takes no connection",
        hint: "it is overloaded or hangs; its log tells more")
    case ENAMETOOLONG:
      self.init(.usage, "the socket's path \(shown) has more than 107 bytes (unix(7))")
    default:
      self.init(.noSupervisor, "cannot reach the supervisor: \(error)", hint: start)
    }
  }

  /// Why a call did not succeed.
  init(_ failure: VarlinkFailure, socketPath: String) {
    switch failure {
    case .replied(let reply): self.init(reply)
    case .connection(.closed):
      self.init(
        .noSupervisor, "the supervisor closed the connection before it had answered",
        hint: "its log tells why; slices keep running meanwhile")
    case .connection(.timedOut):
      self.init(
        .noSupervisor, "the supervisor at \(socketPath.escapedForTerminal) does not answer",
        hint: "it is overloaded or hangs; its log tells more")
    case .connection(let failure):
      self.init(.failed, "talking to the supervisor: \(failure)")
    }
  }

  private init(_ reply: ErrorReply) {
    if let error = SliceError(
      varlinkName: reply.name,
      parameters: reply.parameters() ?? ErrorParameters(message: reply.name, hint: nil))
    {
      self = error
      return
    }
    let json = reply.json.escapedForTerminal
    switch VarlinkError.Standard(rawValue: reply.name) {
    case .permissionDenied:
      self.init(.refused, "the supervisor refuses it")
    case .interfaceNotFound, .methodNotFound, .methodNotImplemented, .invalidParameter:
      self.init(
        .failed, "the supervisor does not understand the call: \(json)",
        hint: "it may be of another version: compare 'slicectl --version' and 'sliced --version'")
    case .expectedMore, nil:
      self.init(.failed, "the supervisor failed: \(json)", hint: "its log tells more")
    }
  }
}
