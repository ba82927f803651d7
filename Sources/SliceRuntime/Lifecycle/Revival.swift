import CKernel
import Descriptor
import SliceKernel
import SliceModel

/// Starting slices again whose slice-init was killed.
///
/// slice-init restarts its service by policy. When it is itself killed, which happens where memory is
/// held by no process that could be killed instead (a full tmpfs, sockets, pipes), the policy is the
/// supervisor's to follow.
extension Node {
  /// How long runs must last for the waiting to begin anew, nanoseconds.
  private static let goodRun: UInt64 = 60_000_000_000

  /// - Parameter record: with the end of the run.
  func reviveIfWanted(_ slice: ManagedSlice, _ record: SliceRecord, startedAt: UInt64?) {
    guard record.wanted == .running, record.spec.restart != .no else { return }
    let isGood = startedAt.map { Clock.now > $0 + Self.goodRun } ?? false
    let seconds = slice.nextRevival(afterGoodRun: isGood)
    do throws(SliceError) {
      try reporting("start a thread") { () throws(SystemError) in
        try SystemThread.start(name: "revival", stackSize: 512 << 10) { [weak self] in
          repeat {
            kernel_sleep(seconds)
            // Started meanwhile, it would be taken for what an earlier process left.
          } while self?.isRecovered.load(ordering: .acquiring) == false
          self?.revive(slice)
        }
      }
    } catch {
      report(slice, "start-failed", by: "restart policy", ["reason": error.message])
    }
  }

  private func revive(_ slice: ManagedSlice) {
    // Somebody may have stopped, started or destroyed it meanwhile.
    guard slice.record.wanted == .running, slice.record.run == nil else { return }
    do throws(SliceError) {
      _ = try start(slice, by: "restart policy")
    } catch {
      guard error.code != .noSuchSlice else { return }
      report(slice, "start-failed", by: "restart policy", ["reason": error.message])
    }
  }
}
