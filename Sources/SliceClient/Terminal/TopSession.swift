import Descriptor
import Glibc
import SliceModel

/// `top` on a terminal: waits for keys, signals, answers and the time of the next sample.
public final class TopSession {
  private let screen: FullScreen
  private let sampler: SharesSampler
  private let signals: SignalQueue
  private let interval: TimeSpan
  private var model: TopModel
  private var earlier: SharesSample
  /// How many more pictures of new figures; nil: no end.
  private var left: Int?
  /// On the monotonic clock, milliseconds.
  private var nextSample: Int64

  /// Soon after the first sample, so that there are rates.
  private static let firstInterval: Int64 = 500

  /// - Parameters:
  ///   - first: what the supervisor has answered already, to show at once.
  ///   - count: pictures with rates until the end; nil: none.
  public init(
    _ screen: FullScreen, _ sampler: SharesSampler, _ model: TopModel, first: SharesSample,
    interval: TimeSpan, count: Int?
  ) throws(SystemError) {
    self.screen = screen
    self.sampler = sampler
    self.model = model
    self.interval = interval
    earlier = first
    left = count
    signals = try SignalQueue([SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGQUIT, SIGTERM, SIGHUP])
    nextSample = Self.now + min(Self.firstInterval, Int64(clamping: interval.milliseconds))
    self.model.show(first.withRates(since: nil))
  }

  /// Goes on until somebody ends it.
  /// - Returns: the exit status: 128 + the number of the signal that ended it, else 0.
  public func run() throws(SystemError) -> Int32 {
    try screen.enter()
    defer { screen.leave() }
    while true {
      screen.draw(model.picture(screen.size))
      if left == 0 { return 0 }
      if let status = try wait() { return status }
    }
  }

  /// Waits until something has happened that changes the picture, or ends it: then its status.
  private func wait() throws(SystemError) -> Int32? {
    var polled = [STDIN_FILENO, signals.pollDescriptor, sampler.pollDescriptor].map {
      pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
    }
    let rest = max(0, min(nextSample - Self.now, 60_000))
    try retryingInterrupts("poll") { poll(&polled, nfds_t(polled.count), Int32(rest)) }
    if polled[1].revents != 0 {
      while let signal = signals.next() {
        if let status = try react(to: signal) { return status }
      }
    }
    if polled[0].revents != 0, let status = try readKeys() { return status }
    if polled[2].revents != 0, let answer = sampler.take() { show(answer) }
    if Self.now >= nextSample { try sample() }
    return nil
  }

  private func sample() throws(SystemError) {
    nextSample = Self.now + max(1, Int64(clamping: interval.milliseconds))
    try sampler.ask(tree: model.wantsTree)
  }

  private func show(_ answer: Result<SharesSample, SliceError>) {
    switch answer {
    case .success(let sample):
      model.show(sample.withRates(since: earlier))
      earlier = sample
      if let number = left { left = number - 1 }
    case .failure(let error): model.fail(error)
    }
  }

  private func readKeys() throws(SystemError) -> Int32? {
    var bytes = [UInt8](repeating: 0, count: 256)
    let count = read(STDIN_FILENO, &bytes, bytes.count)
    // The terminal has hung up.
    guard count > 0 else { return errno == EINTR && count < 0 ? nil : 128 + SIGHUP }
    for key in TopKey.parse(bytes[..<count]) {
      switch model.press(key) {
      case .none: break
      case .quit: return 0
      case .interrupt: return 128 + SIGINT
      case .suspend: try suspend()
      case .sample: try sample()
      }
    }
    return nil
  }

  private func react(to signal: Int32) throws(SystemError) -> Int32? {
    switch signal {
    case SIGWINCH: return nil  // the next picture has the new size
    case SIGTSTP: try suspend()
    case SIGCONT:
      // Whoever had the terminal meanwhile may have changed its mode.
      screen.leave()
      try screen.enter()
    default: return 128 + signal
    }
    return nil
  }

  private func suspend() throws(SystemError) {
    screen.leave()
    raise(SIGSTOP)
    try screen.enter()
  }

  private static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
