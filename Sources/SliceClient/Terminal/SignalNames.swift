import Glibc

/// Signals by name, as kill(1) takes them.
public enum SignalNames {
  /// Without `SIG`, in the order of their numbers.
  public static let all: [(name: String, number: Int32)] = [
    ("HUP", SIGHUP), ("INT", SIGINT), ("QUIT", SIGQUIT), ("ILL", SIGILL), ("TRAP", SIGTRAP),
    ("ABRT", SIGABRT), ("BUS", SIGBUS), ("FPE", SIGFPE), ("KILL", SIGKILL), ("USR1", SIGUSR1),
    ("SEGV", SIGSEGV), ("USR2", SIGUSR2), ("PIPE", SIGPIPE), ("ALRM", SIGALRM),
    ("TERM", SIGTERM), ("STKFLT", SIGSTKFLT), ("CHLD", SIGCHLD), ("CONT", SIGCONT),
    ("STOP", SIGSTOP), ("TSTP", SIGTSTP), ("TTIN", SIGTTIN), ("TTOU", SIGTTOU), ("URG", SIGURG),
    ("XCPU", SIGXCPU), ("XFSZ", SIGXFSZ), ("VTALRM", SIGVTALRM), ("PROF", SIGPROF),
    ("WINCH", SIGWINCH), ("IO", SIGIO), ("PWR", SIGPWR), ("SYS", SIGSYS),
  ]

  /// `TERM`, `SIGTERM`, `term` or `15`; real-time signals (signal(7)) by number alone.
  public static func number(_ text: String) -> Int32? {
    if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int32(text) {
      return (1...64).contains(number) ? number : nil
    }
    let upper = text.uppercased()
    let name = upper.hasPrefix("SIG") ? String(upper.dropFirst(3)) : upper
    return all.first { $0.name == name }?.number
  }

  /// `TERM`; the number for one without a name.
  public static func name(_ number: Int32) -> String {
    all.first { $0.number == number }?.name ?? "\(number)"
  }
}
