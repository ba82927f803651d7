import CKernel
import Descriptor
import Glibc
import SliceInterface
import SliceKernel
import SliceModel
import SliceRuntime
import Varlink

/// When a program of the runtime's has to be over. It runs among a slice's processes, whose root can
/// hold it, by a signal or by freezing its cgroup; who asked for it waits for it.
struct Overtime {
  /// The reading end of a pipe, hung up once the program was asked to end.
  let asked: SharedFD
  /// When it should be over by itself, on the monotonic clock; nil: when it is asked.
  var due: UInt64?

  /// Nanoseconds that it has from then on.
  static let patience: UInt64 = 5_000_000_000
}

/// Staying until a process that was started for a client ends.
extension Request {
  /// What a command whose client hung up gets between SIGHUP and SIGKILL, milliseconds.
  private static let hangUpGrace: Int32 = 5000

  /// Tells the client of the process, stays until it ends, and tells that. A client that hangs up ends
  /// it.
  ///
  /// - Parameters:
  ///   - descriptors: that the client gets.
  ///   - ending: hung up by whoever signals the process to end; nil: nobody waits for that.
  ///   - overtime: nil: it may take any time.
  func follow(
    _ process: PidFD, of slice: ManagedSlice, descriptors: [Int32] = [],
    ending: ClosableFD? = nil, overtime: Overtime? = nil
  ) throws {
    let id = interface.executions.add(process, owner: subject.caller.user, ending: ending)
    defer { interface.executions.remove(id) }
    let isOverdue: Bool
    do {
      try call.replyContinues(
        ExecuteCall.Reply(id: id, pid: Int(process.pid)), descriptors: descriptors)
      isOverdue = awaitEnd(process, overtime)
    } catch {
      end(process)
      throw error
    }
    let status = try reporting("wait for the command") { () throws(SystemError) in
      try process.wait()
    }
    guard !call.isHungUp else { return }
    let reason =
      isOverdue && status == .signaled(SIGKILL)
      ? "it was held in the slice, and killed \(Overtime.patience / 1_000_000_000) s after its time"
      : wantOfMemory(slice, status)
    switch status {
    case .exited(let code):
      try call.reply(ExecuteCall.Reply(exitCode: Int32(code), reason: reason))
    case .signaled(let number): try call.reply(ExecuteCall.Reply(signal: number, reason: reason))
    }
  }

  /// In words, if a command that ended so just now was killed for want of memory.
  private func wantOfMemory(_ slice: ManagedSlice, _ status: ExitStatus) -> String? {
    guard !status.isSuccess, let found = node.outOfMemory(slice),
      slice.record.isForWantOfMemory(status, at: Clock.now)
    else { return nil }
    return found.description
  }

  /// Waits for the end of a process, and makes one where the client hangs up or the time is over. Returns
  /// whether it was that.
  private func awaitEnd(_ process: PidFD, _ overtime: Overtime?) -> Bool {
    var entries = [
      pollfd(fd: process.rawValue, events: Int16(POLLIN), revents: 0),
      pollfd(
        fd: call.hangUpDescriptor, events: Int16(truncatingIfNeeded: VarlinkCall.hangUpEvents),
        revents: 0),
      pollfd(fd: overtime?.asked.rawValue ?? -1, events: 0, revents: 0),
    ]
    var end = overtime?.due.map { $0 + Overtime.patience }
    return withExtendedLifetime(overtime) {
      while true {
        let ready = poll(&entries, nfds_t(entries.count), Self.milliseconds(until: end))
        if ready < 0, errno == EINTR { continue }
        if entries[0].revents != 0 { return false }
        if entries[1].revents != 0 {
          self.end(process)
          return false
        }
        if entries[2].revents != 0 {
          entries[2].fd = -1
          end = min(end ?? .max, kernel_monotonic() + Overtime.patience)
        } else if let end, kernel_monotonic() >= end {
          try? process.signal(SIGKILL)  // ESRCH: it has just ended
          return true
        }
      }
    }
  }

  /// For poll(2).
  private static func milliseconds(until end: UInt64?) -> Int32 {
    guard let end else { return -1 }
    let now = kernel_monotonic()
    return end <= now ? 0 : Int32(clamping: (end - now) / 1_000_000 + 1)
  }

  /// As a terminal that goes away does it: SIGHUP, and for what does not listen SIGKILL. Either may
  /// come too late for a process that has just ended.
  private func end(_ process: PidFD) {
    try? process.signal(SIGHUP)
    if !process.hasEnded(within: Self.hangUpGrace) { try? process.signal(SIGKILL) }
  }
}
