import Descriptor
import Glibc
import SliceKernel
import SliceModel

/// A failed launch in words that a slice's owner can act on.
struct LaunchDiagnosis {
  let error: SliceError

  init(_ failure: LaunchFailure, command: ServiceInvocation) {
    if case .listener(let reason?) = failure.place {
      error = reason
      return
    }
    guard case .initStage(let number) = failure.place, let stage = Stage(rawValue: number) else {
      error = Self.outside(failure)
      return
    }
    let program = (command.command?.first ?? "/bin/sh").escapedForTerminal
    let user = (command.user ?? "root").escapedForTerminal
    let reason = SystemError(code: failure.code, operation: "", subject: nil)
    let why = "\(reason.name): \(reason.explanation)"
    switch stage {
    case .execute where failure.code == ENOENT:
      error = SliceError(
        .commandNotFound, "'\(program)' was not found in the slice",
        hint: "is it in the image and on PATH, and the interpreter that it names too?")
    case .execute:
      error = SliceError(
        .commandNotExecutable, "'\(program)' could not be executed: \(why)",
        hint: failure.code == ENOEXEC
          ? "a script needs a first line such as #!/bin/sh" : "is it executable for user \(user)?")
    case .user:
      error = SliceError(
        .commandNotRun, "the slice has no user '\(user)': \(why)",
        hint:
          "users are looked up in the slice's own /etc/passwd; a number from 0 to 65535 needs no entry"
      )
    case .group:
      error = SliceError(
        .commandNotRun, "the slice has no group as in '\(user)': \(why)",
        hint: "groups are looked up in the slice's own /etc/group")
    case .workdir:
      error = SliceError(
        .commandNotRun,
        "cannot change to the working directory '\((command.workdir ?? "").escapedForTerminal)': \(why)"
      )
    case .identity:
      error = SliceError(.commandNotRun, "cannot become user '\(user)': \(why)")
    case .setup, .terminal, .fork:
      error = SliceError(.commandNotRun, "slice-init could not start '\(program)': \(why)")
    }
  }

  /// enum slice_stage of slice_report.h, the stages of slice-init.
  private enum Stage: UInt32 {
    case setup = 16, user, group, identity, workdir, terminal, fork, execute
  }

  private static func outside(_ failure: LaunchFailure) -> SliceError {
    switch failure.code {
    case ENOSYS:
      SliceError(
        .unenforceable, "\(failure); this kernel lacks the system call",
        hint: "Linux 6.1 or newer is needed; 'slicectl doctor' shows what is missing")
    case ELOOP, ENOTDIR:
      SliceError(
        .failed, "\(failure)",
        hint: "the image has a link or a file where a slice needs a directory")
    case ETIMEDOUT:
      SliceError(.timedOut, "\(failure)")
    default:
      SliceError(.failed, "\(failure)")
    }
  }
}
