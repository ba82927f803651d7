/// How a process ended, as waitpid(2) says it.
public enum WaitStatus {
  /// As a shell says it: the exit status, or 128 + the number of the signal that ended it.
  public static func asShell(_ raw: Int32) -> Int32 {
    let signal = raw & 0x7F
    return signal == 0 ? raw >> 8 & 0xFF : 128 + signal
  }
}
