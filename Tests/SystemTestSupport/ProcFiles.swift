import Descriptor
import Glibc

/// Small reads of the host's files; what is not there reads as empty.
public enum HostFiles {
  public static func text(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    let bytes = (try? HostPath.content(of: file, path: path)) ?? []
    return String(decoding: bytes, as: UTF8.self)
  }

  public static func lines(_ path: String) -> [String] {
    text(path).split(separator: "\n").map(String.init)
  }

  public static func write(_ text: String, to path: String, mode: mode_t = 0o644) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard file >= 0 else { throw SystemError(code: errno, operation: "open", subject: path) }
    defer { close(file) }
    guard Glibc.write(file, text, text.utf8.count) == text.utf8.count else {
      throw SystemError(code: errno, operation: "write", subject: path)
    }
  }

  /// Names in a directory, sorted, without `.` and `..`.
  public static func list(_ path: String) -> [String] {
    (try? HostPath.names(in: path)) ?? []
  }

  public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  public static func isDirectory(_ path: String) -> Bool {
    var info = stat()
    return lstat(path, &info) == 0 && info.st_mode & S_IFMT == S_IFDIR
  }

  /// Every path below a directory. Does not descend into what `leavingOut` names.
  public static func tree(_ path: String, leavingOut: Set<String> = []) -> [String] {
    list(path).filter { !leavingOut.contains($0) }.flatMap { name in
      let inner = path + "/" + name
      return [inner] + (isDirectory(inner) ? tree(inner, leavingOut: leavingOut) : [])
    }
  }

  /// What a symbolic link says; empty where there is none.
  public static func link(_ path: String) -> String {
    HostPath.link(path) ?? ""
  }
}

/// Processes as a proc(5) mount shows them.
public enum ProcessTable {
  public static func pids(proc: String = "/proc") -> [pid_t] {
    HostFiles.list(proc).compactMap { pid_t($0) }
  }

  /// proc_pid_stat(5): state and parent, the first two fields after the command in parentheses.
  public static func status(of pid: pid_t, proc: String = "/proc") -> (
    state: String, parent: pid_t
  )? {
    let text = HostFiles.text("\(proc)/\(pid)/stat")
    guard let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 1, let parent = pid_t(fields[1]) else { return nil }
    return (String(fields[0]), parent)
  }

  public static func children(of pid: pid_t) -> [pid_t] {
    pids().filter { status(of: $0)?.parent == pid }
  }
}
