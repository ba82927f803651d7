import Glibc
import SliceClient

/// Progress on standard error, where that is a terminal.
final class ProgressDisplay {
  private var line: ProgressLine?
  private let start = ContinuousClock.now
  private var isShown = false

  init(label: String, isWanted: Bool) {
    guard isWanted, let size = LocalTerminal(STDERR_FILENO)?.size else { return }
    line = ProgressLine(label: label, width: Int(size.columns))
  }

  func show(_ progress: ProgressLine.Progress) {
    let elapsed = (ContinuousClock.now - start) / .seconds(1)
    guard let text = line?.update(progress, elapsed: elapsed) else { return }
    ErrorOutput(isJSON: false).write(text)
    isShown = true
  }

  func clear() {
    if isShown { ErrorOutput(isJSON: false).write(ProgressLine.clear) }
    isShown = false
  }
}
